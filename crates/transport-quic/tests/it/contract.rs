//! The contract that every transport keeps.

use std::any::Any;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use transport::testkit::contract::Harness;
use transport::testkit::contract_tests;
use transport::testkit::rustls::SupportedProtocolVersion;
use transport::testkit::rustls::version::TLS13;
use transport::{Endpoint, HostPort, Transport};
use transport_quic::QuicTransport;

use crate::support::{address, first_flight};

struct Quic;

#[async_trait]
impl Harness for Quic {
    fn new() -> Self {
        Self
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(QuicTransport::default())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Quic(HostPort::new("127.0.0.1", 0))
    }

    fn tls_versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static VERSIONS: [&SupportedProtocolVersion; 1] = [&TLS13];
        &VERSIONS
    }

    /// One stops in the middle of its ClientHello, which takes two datagrams, and one after it.
    async fn stalled_peers(&self, at: &Endpoint) -> Vec<Box<dyn Any + Send>> {
        let mut peers: Vec<Box<dyn Any + Send>> = Vec::new();
        for sent in 1..=2 {
            let flight = first_flight().await;
            let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for datagram in &flight[..sent] {
                peer.send_to(datagram, address(at)).await.unwrap();
            }
            peers.push(Box::new(peer));
        }
        peers
    }
}

contract_tests!(Quic);
