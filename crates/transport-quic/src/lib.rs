//! The service over QUIC. Experimental: no stock client or daemon speaks it, and its protocol may still change,
//! under another name then.
//!
//! HTTP/2 runs in each bidirectional stream, as it does in a TCP connection's one. A peer that moves to another
//! address stays the peer that it was at its handshake. Nothing is replayed and nothing resumed: early data,
//! session tickets, datagrams and unidirectional streams are all off.
//!
//! Loopback only, unless [`ListenScope`] says otherwise. That is no proof of anything: any local user can reach
//! it, so a peer is known by its certificate alone.

mod config;
mod connection;
mod dial;
mod incoming;
mod lingering;
mod listener;
mod refusal;
mod runtime;
mod socket;
mod stream;
mod timer;
mod udp;

use async_trait::async_trait;
use transport::network::ListenScope;
use transport::tls::{ClientTls, ServerTls};
use transport::{ConnectError, Connection, Endpoint, ListenError, Listener, Transport};

use crate::listener::QuicListener;

/// Listens on and dials `quic:host:port`.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuicTransport {
    scope: ListenScope,
}

impl QuicTransport {
    /// A transport that listens within `scope`. It dials anywhere.
    #[must_use]
    pub fn new(scope: ListenScope) -> Self {
        Self { scope }
    }
}

#[async_trait]
impl Transport for QuicTransport {
    async fn listen(&self, at: &Endpoint, tls: ServerTls) -> Result<Box<dyn Listener>, ListenError> {
        match at {
            Endpoint::Quic(host_port) => Ok(Box::new(QuicListener::bind(host_port, self.scope, &tls).await?)),
            other => Err(ListenError::Unsupported(other.clone())),
        }
    }

    async fn dial(&self, to: &Endpoint, tls: ClientTls) -> Result<Box<dyn Connection>, ConnectError> {
        match to {
            Endpoint::Quic(host_port) => dial::dial(host_port, &tls).await,
            other => Err(ConnectError::Unsupported(other.clone())),
        }
    }
}
