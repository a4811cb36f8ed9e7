//! What the tests share.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use transport::testkit::certificates::TestServer;
use transport::{Endpoint, HostPort, Transport};
use transport_quic::QuicTransport;

/// The socket address of an endpoint as bound.
pub(crate) fn address(endpoint: &Endpoint) -> SocketAddr {
    let Endpoint::Quic(HostPort { host, port }) = endpoint else { panic!("{endpoint} is not QUIC's") };
    SocketAddr::new(host.parse().unwrap(), *port)
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::Quic(HostPort::new(&address.ip().to_string(), address.port()))
}

/// The two datagrams that a client's ClientHello takes, sent to nobody. Others may send them: they are protected by
/// nothing secret.
pub(crate) async fn first_flight() -> [Vec<u8>; 2] {
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(nobody.local_addr().unwrap());
    let dialling = tokio::spawn(async move {
        let tls = TestServer::generate().client(None);
        QuicTransport::default().dial(&at, tls).await.map(drop)
    });
    let mut flight = [const { Vec::new() }; 2];
    for datagram in &mut flight {
        // The other socket of a client asks whether anybody is there, with nothing in it.
        while datagram.is_empty() {
            let mut buffer = [0; 2048];
            let length = nobody.recv(&mut buffer).await.unwrap();
            *datagram = buffer[..length].to_vec();
        }
    }
    dialling.abort();
    flight
}
