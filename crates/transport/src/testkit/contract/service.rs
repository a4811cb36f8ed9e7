//! The service under test, and both ends of its connections.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::{Harness, QUIET};
use crate::testkit::certificates::TestServer;
use crate::tls::{ClientTls, ServerTls};
use crate::{ConnectError, Connection, Endpoint, HandshakeError, Listener, Stream, Transport};

/// A service that listens, with everything that its clients need.
pub(super) struct Service<H> {
    pub(super) harness: H,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) server: TestServer,
    pub(super) tls: ServerTls,
    pub(super) listener: Box<dyn Listener>,
    pub(super) at: Endpoint,
}

impl<H: Harness> Service<H> {
    pub(super) async fn start() -> Self {
        let harness = H::new();
        let transport: Arc<dyn Transport> = harness.transport().into();
        let server = TestServer::generate();
        let tls = server.tls();
        let listener = transport.listen(&harness.endpoint(), tls.clone()).await.expect("a listener");
        let at = listener.endpoints().first().expect("an address as bound").clone();
        Self { harness, transport, server, tls, listener, at }
    }

    /// Both ends' results of one client's handshake.
    pub(super) async fn attempt(
        &mut self,
        tls: ClientTls,
    ) -> (Result<Ends, ConnectError>, Result<Ends, HandshakeError>) {
        let serve = async { self.listener.accept().await.expect("a peer").handshake().await };
        tokio::join!(self.transport.dial(&self.at, tls), serve)
    }

    /// Both ends of one client's connection.
    pub(super) async fn connect(&mut self, tls: ClientTls) -> (Ends, Ends) {
        let (client, server) = self.attempt(tls).await;
        (client.expect("the client's handshake"), server.expect("the server's handshake"))
    }

    /// Both ends of a stream, and their connections.
    pub(super) async fn stream(&mut self) -> (Opened, Opened) {
        let (mut client, mut server) = self.connect(self.server.client(None)).await;
        let (here, there) = open(&mut client, &mut server).await;
        (Opened { stream: here, connection: client }, Opened { stream: there, connection: server })
    }
}

pub(super) type Ends = Box<dyn Connection>;

pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) connection: Ends,
}

/// Opens a stream. Some transports tell the server of it only with the first byte.
pub(super) async fn open(client: &mut Ends, server: &mut Ends) -> (Stream, Stream) {
    let mut here = client.open_stream().await.expect("a stream");
    here.write_all(b"!").await.unwrap();
    here.flush().await.unwrap();
    let mut there = server.next_stream().await.expect("the client's stream");
    assert_eq!(there.read_u8().await.unwrap(), b'!');
    (here, there)
}

/// Sends a few bytes to the other end and reads them there.
pub(super) async fn passes(from: &mut Stream, to: &mut Stream) {
    from.write_all(b"some bytes").await.unwrap();
    from.flush().await.unwrap();
    let mut read = [0; 10];
    to.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"some bytes");
}

/// Whether the other end has given the stream up: an error or its end, and no byte more.
pub(super) async fn is_gone(mut stream: Stream) -> bool {
    stream.read_u8().await.is_err()
}

/// Whether the other end did not let this client in. In TLS 1.3 a client is done before it is judged.
pub(super) async fn is_turned_away(dialled: Result<Ends, ConnectError>) -> bool {
    let Ok(mut client) = dialled else { return true };
    match client.open_stream().await {
        Ok(stream) => is_gone(stream).await,
        Err(_) => true,
    }
}

/// Starts `task` and returns once it waits for something.
pub(super) async fn pending<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let task = tokio::spawn(task);
    tokio::time::sleep(QUIET).await;
    assert!(!task.is_finished(), "it should wait");
    task
}

#[track_caller]
pub(super) fn assert_cut<T>(result: io::Result<T>) {
    let error = result.err().expect("a cut connection should fail");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
}
