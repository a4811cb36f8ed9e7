//! A connection after its handshake, on either side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quinn::VarInt;
use quinn::rustls::pki_types::CertificateDer;
use tokio::task::yield_now;
use tokio::time::timeout;
use transport::{
    Closer, ConnectError, Connection, CuttableStream, LiveConnection, Origin, Peer, ProvenCertificate, Stream,
};

use crate::lingering::InUse;
use crate::stream::QuicStream;

/// Tells the peer that the connection was cut on purpose; 0 is that of one that is no longer used.
pub(crate) const CUT: VarInt = VarInt::from_u32(1);

/// How long a client that ends tries to say so.
const GOODBYE: Duration = Duration::from_millis(100);

/// quinn's connection, which ends with the last of its handles and streams; then the peer is told.
pub(crate) struct Handle {
    connection: quinn::Connection,
    live: LiveConnection,
    /// That of a connection that was accepted.
    _in_use: Option<InUse>,
}

impl Handle {
    fn cut(&self) {
        self.connection.close(CUT, b"");
    }
}

pub(crate) struct QuicConnection {
    handle: Arc<Handle>,
    peer: Peer,
}

impl QuicConnection {
    /// `connection` after its handshake, with a peer that was at `origin` then.
    pub(crate) fn new(
        connection: quinn::Connection,
        origin: Origin,
        live: LiveConnection,
        in_use: Option<InUse>,
    ) -> Self {
        let certificate = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .and_then(|chain| ProvenCertificate::of_completed_handshake(&chain));
        let handle = Handle { connection, live, _in_use: in_use };
        Self { handle: Arc::new(handle), peer: Peer { origin, certificate } }
    }

    fn stream(&self, halves: (quinn::SendStream, quinn::RecvStream)) -> Stream {
        let stream = QuicStream::new(halves, Arc::clone(&self.handle));
        Box::new(CuttableStream::new(stream, self.handle.live.clone()))
    }
}

#[async_trait]
impl Connection for QuicConnection {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    async fn next_stream(&mut self) -> Option<Stream> {
        let accepting = async { self.handle.connection.accept_bi().await.map_err(io::Error::from) };
        let halves = self.handle.live.unless_cut(accepting).await.ok()?;
        Some(self.stream(halves))
    }

    async fn open_stream(&mut self) -> Result<Stream, ConnectError> {
        let opening = async { self.handle.connection.open_bi().await.map_err(io::Error::from) };
        let halves = self.handle.live.unless_cut(opening).await.map_err(|_| ConnectError::NoStream)?;
        Ok(self.stream(halves))
    }

    fn closer(&self) -> Closer {
        // It keeps no connection alive that nobody uses any more.
        let handle = Arc::downgrade(&self.handle);
        self.handle.live.closer().and(move || {
            if let Some(handle) = handle.upgrade() {
                handle.cut();
            }
        })
    }

    /// The peer is told by a datagram that is on its way when this returns. Only those are waited for: whether it
    /// arrives is not known before some round trips, which no client is to spend on leaving.
    async fn close(self: Box<Self>) {
        let connection = &self.handle.connection;
        if connection.close_reason().is_some() {
            return;
        }
        let sent_before = connection.stats().udp_tx.datagrams;
        self.closer().close();
        // Nothing but the one datagram is sent any more, by quinn's task, which runs at once. quinn tells of its
        // sending by no other sign.
        let said = async {
            while connection.stats().udp_tx.datagrams == sent_before {
                yield_now().await;
            }
        };
        // The network may take no datagram at the moment. The peer then finds out by itself.
        let _ = timeout(GOODBYE, said).await;
    }
}
