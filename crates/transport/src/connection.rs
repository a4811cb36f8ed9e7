//! The traits that a transport implements. Bytes flow one way through them:
//! [`Listener`] → [`Incoming`] → handshake → [`Connection`] → [`Stream`].

use std::fmt::Debug;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::tls::{ClientTls, ServerTls};
use crate::{AcceptError, Closer, ConnectError, Endpoint, HandshakeError, ListenError, Origin, Peer, Stream};

/// A way to carry TLS connections between a client and the service.
#[async_trait]
pub trait Transport: Send + Sync + Debug {
    /// Starts to listen at `at`.
    ///
    /// # Errors
    /// The address cannot be served; nothing is left behind.
    async fn listen(&self, at: &Endpoint, tls: ServerTls) -> Result<Box<dyn Listener>, ListenError>;

    /// Connects to the service at `to` and completes the handshake. Dropping the future aborts it.
    ///
    /// # Errors
    /// The service cannot be reached, or cannot be trusted.
    async fn dial(&self, to: &Endpoint, tls: ClientTls) -> Result<Box<dyn Connection>, ConnectError>;
}

/// A bound address.
#[async_trait]
pub trait Listener: Send + Debug {
    /// Waits for the next peer. Cancel-safe; does no TLS work, so that no peer can hold up another.
    ///
    /// # Errors
    /// [`AcceptError::Transient`] asks for a pause and another try; [`AcceptError::Closed`] is the end.
    async fn accept(&mut self) -> Result<Box<dyn Incoming>, AcceptError>;

    /// The addresses as bound.
    fn endpoints(&self) -> &[Endpoint];

    /// Stops listening, lets live connections finish until `deadline`, then cuts them.
    async fn close(self: Box<Self>, deadline: Instant);
}

/// A peer that has arrived and has not yet spoken: quotas act here.
#[async_trait]
pub trait Incoming: Send {
    /// Where the peer comes from, known before TLS.
    fn origin(&self) -> &Origin;

    /// Sends the peer away.
    fn refuse(self: Box<Self>);

    /// Completes the handshake. Run it in a task of its own, under a deadline; dropping it aborts.
    ///
    /// # Errors
    /// The peer did not speak TLS, or did not prove that it holds its certificate's key.
    async fn handshake(self: Box<Self>) -> Result<Box<dyn Connection>, HandshakeError>;
}

/// An authenticated channel to one peer.
#[async_trait]
pub trait Connection: Send {
    /// The other side; fixed for the connection's life.
    fn peer(&self) -> &Peer;

    /// The next stream that the peer opens; `None` when there will be no more. Cancel-safe.
    /// A Unix or TCP connection yields one stream in all.
    async fn next_stream(&mut self) -> Option<Stream>;

    /// Opens a stream to the peer (client side).
    ///
    /// # Errors
    /// The connection is gone, or has given out the one stream that it has.
    async fn open_stream(&mut self) -> Result<Stream, ConnectError>;

    /// A handle that cuts this connection from anywhere.
    fn closer(&self) -> Closer;

    /// Cuts this connection and lets the peer know, which some transports need a moment for. A program that
    /// ends at once calls it: otherwise the peer may have to find out by itself.
    async fn close(self: Box<Self>) {
        self.closer().close();
    }
}
