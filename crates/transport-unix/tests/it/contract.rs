//! The contract that every transport keeps.

use std::any::Any;

use async_trait::async_trait;
use tokio::net::UnixStream;
use transport::testkit::contract::{ByteStreamHarness, Harness, stalled_byte_streams};
use transport::testkit::{byte_stream_contract_tests, contract_tests};
use transport::{Endpoint, Stream, Transport};
use transport_unix::UnixTransport;

struct Unix {
    directory: tempfile::TempDir,
}

#[async_trait]
impl Harness for Unix {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(UnixTransport::default())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.directory.path().join("socket"))
    }

    async fn stalled_peers(&self, at: &Endpoint) -> Vec<Box<dyn Any + Send>> {
        stalled_byte_streams(self, at).await
    }
}

#[async_trait]
impl ByteStreamHarness for Unix {
    async fn connect_raw(&self, at: &Endpoint) -> Stream {
        let Endpoint::Unix(path) = at else { panic!("{at} is no Unix socket") };
        Box::new(UnixStream::connect(path).await.unwrap())
    }
}

contract_tests!(Unix);
byte_stream_contract_tests!(Unix);
