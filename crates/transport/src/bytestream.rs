//! TLS over one byte stream a connection: what the Unix and TCP transports share.

use async_trait::async_trait;

use crate::stream::{CuttableStream, LiveConnection};
use crate::tls::{ClientTls, ServerTls};
use crate::{
    ByteStream, Closer, ConnectError, Connection, HandshakeError, Incoming, LiveConnections, Origin, Peer,
    ProvenCertificate, Stream,
};

/// A peer accepted on a byte-stream socket.
#[derive(Debug)]
pub struct ByteStreamIncoming<S> {
    stream: S,
    origin: Origin,
    tls: ServerTls,
    live: LiveConnection,
}

impl<S: ByteStream + 'static> ByteStreamIncoming<S> {
    /// A peer that arrived from `origin`, counted among the listener's connections from now on.
    pub fn new(stream: S, origin: Origin, tls: ServerTls, connections: &LiveConnections) -> Self {
        Self { stream, origin, tls, live: connections.enter() }
    }
}

#[async_trait]
impl<S: ByteStream + 'static> Incoming for ByteStreamIncoming<S> {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn refuse(self: Box<Self>) {}

    async fn handshake(self: Box<Self>) -> Result<Box<dyn Connection>, HandshakeError> {
        let Self { stream, origin, tls, live } = *self;
        let accepting = tls.acceptor().accept(stream);
        let stream = live.unless_cut(accepting).await.map_err(HandshakeError::Tls)?;
        let certificate = ProvenCertificate::of_session(stream.get_ref().1);
        Ok(Box::new(ByteStreamConnection::new(stream, Peer { origin, certificate }, live)))
    }
}

/// An authenticated connection over one byte stream.
pub struct ByteStreamConnection {
    stream: Option<Stream>,
    peer: Peer,
    closer: Closer,
}

impl ByteStreamConnection {
    /// `stream` after TLS.
    ///
    /// It is cut above TLS: below, bytes already decrypted would still be read after the cut, and
    /// tokio-rustls would take the error for an orderly end at the second read.
    fn new(stream: impl ByteStream + 'static, peer: Peer, live: LiveConnection) -> Self {
        let closer = live.closer();
        Self { stream: Some(Box::new(CuttableStream::new(stream, live))), peer, closer }
    }

    /// Completes the client's side of the handshake over `stream`.
    ///
    /// # Errors
    /// The server is not to be trusted, or the handshake failed otherwise.
    pub async fn connect(
        stream: impl ByteStream + 'static,
        origin: Origin,
        tls: &ClientTls,
    ) -> Result<Box<dyn Connection>, ConnectError> {
        let stream = tls.connect(stream).await.map_err(|error| {
            let fault = error.get_ref().and_then(|inner| inner.downcast_ref());
            fault.and_then(ConnectError::of_server_certificate).unwrap_or(ConnectError::Handshake(error))
        })?;
        let certificate = ProvenCertificate::of_session(stream.get_ref().1);
        // A client counts its connections for nobody.
        let live = LiveConnections::default().enter();
        Ok(Box::new(Self::new(stream, Peer { origin, certificate }, live)))
    }
}

#[async_trait]
impl Connection for ByteStreamConnection {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    async fn next_stream(&mut self) -> Option<Stream> {
        self.stream.take()
    }

    async fn open_stream(&mut self) -> Result<Stream, ConnectError> {
        self.stream.take().ok_or(ConnectError::NoStream)
    }

    fn closer(&self) -> Closer {
        self.closer.clone()
    }
}
