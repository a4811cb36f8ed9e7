//! The service on a TCP port.
//!
//! Loopback only, unless [`ListenScope`] says otherwise. That is no proof of anything: any local user can reach
//! it, and any guest behind user-mode networking, so a peer is known by its certificate alone.

mod dial;
mod listener;
mod occupant;
mod options;

use std::io;

use async_trait::async_trait;
use transport::network::{ListenScope, resolve};
use transport::tls::{ClientTls, ServerTls};
use transport::{
    ByteStreamConnection, ConnectError, Connection, Endpoint, ListenError, Listener, Origin, Transport,
};

use crate::listener::TcpListener;

/// Listens on and dials `host:port`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpTransport {
    scope: ListenScope,
}

impl TcpTransport {
    /// A transport that listens within `scope`. It dials anywhere.
    #[must_use]
    pub fn new(scope: ListenScope) -> Self {
        Self { scope }
    }
}

#[async_trait]
impl Transport for TcpTransport {
    async fn listen(&self, at: &Endpoint, tls: ServerTls) -> Result<Box<dyn Listener>, ListenError> {
        match at {
            Endpoint::Tcp(host_port) => Ok(Box::new(TcpListener::bind(host_port, self.scope, tls).await?)),
            other => Err(ListenError::Unsupported(other.clone())),
        }
    }

    async fn dial(&self, to: &Endpoint, tls: ClientTls) -> Result<Box<dyn Connection>, ConnectError> {
        let Endpoint::Tcp(host_port) = to else {
            return Err(ConnectError::Unsupported(to.clone()));
        };
        let addresses = resolve(host_port)
            .await
            .map_err(|source| ConnectError::HostUnknown { endpoint: to.clone(), source })?;
        let unreachable = |source: io::Error| {
            let endpoint = to.clone();
            match source.kind() {
                io::ErrorKind::ConnectionRefused => ConnectError::NotListening { endpoint, source },
                io::ErrorKind::PermissionDenied => ConnectError::PermissionDenied { endpoint, source },
                _ => ConnectError::Unreachable { endpoint, source },
            }
        };
        let stream = dial::connect(&addresses).await.map_err(unreachable)?;
        let origin = Origin::Remote(stream.peer_addr().map_err(unreachable)?);
        ByteStreamConnection::connect(stream, origin, &tls).await
    }
}
