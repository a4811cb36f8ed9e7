//! A peer whose first datagram has arrived.

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;
use transport::{Connection, HandshakeError, Incoming, LiveConnection, Origin};

use crate::connection::QuicConnection;
use crate::lingering::Place;

pub(crate) struct QuicIncoming {
    pub(crate) incoming: quinn::Incoming,
    pub(crate) place: Place,
    /// Held until the handshake has ended, by a peer whose address may be forged.
    pub(crate) unproven: Option<OwnedSemaphorePermit>,
    pub(crate) origin: Origin,
    pub(crate) live: LiveConnection,
}

#[async_trait]
impl Incoming for QuicIncoming {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn refuse(self: Box<Self>) {
        self.incoming.refuse();
    }

    async fn handshake(self: Box<Self>) -> Result<Box<dyn Connection>, HandshakeError> {
        let Self { incoming, place, unproven, origin, live } = *self;
        // Never quinn's 0.5-RTT: the peer has proven itself when this ends.
        let shaking = async {
            let (connecting, in_use) = place.accept(incoming)?;
            Ok((connecting.await?, in_use))
        };
        let (connection, in_use) = live.unless_cut(shaking).await.map_err(HandshakeError::Tls)?;
        drop(unproven);
        Ok(Box::new(QuicConnection::new(connection, origin, live, Some(in_use))))
    }
}
