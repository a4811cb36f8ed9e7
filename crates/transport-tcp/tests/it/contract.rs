//! The contract that every transport keeps.

use std::any::Any;

use async_trait::async_trait;
use tokio::net::TcpStream;
use transport::testkit::contract::{ByteStreamHarness, Harness, stalled_byte_streams};
use transport::testkit::{byte_stream_contract_tests, contract_tests};
use transport::{Endpoint, Stream, Transport};
use transport_tcp::TcpTransport;

use crate::support::{address_of, localhost};

struct Tcp;

#[async_trait]
impl Harness for Tcp {
    fn new() -> Self {
        Self
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(TcpTransport::default())
    }

    fn endpoint(&self) -> Endpoint {
        localhost(0)
    }

    async fn stalled_peers(&self, at: &Endpoint) -> Vec<Box<dyn Any + Send>> {
        stalled_byte_streams(self, at).await
    }
}

#[async_trait]
impl ByteStreamHarness for Tcp {
    async fn connect_raw(&self, at: &Endpoint) -> Stream {
        Box::new(TcpStream::connect(address_of(at)).await.unwrap())
    }
}

contract_tests!(Tcp);
byte_stream_contract_tests!(Tcp);
