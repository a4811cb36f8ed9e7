//! The transports that this daemon was built with, and its listeners.

use std::io;
#[cfg(all(unix, feature = "unix"))]
use std::path::Path;

use thiserror::Error;
use tokio::time::Instant;
#[cfg(any(feature = "tcp", feature = "quic"))]
use transport::Transport;
use transport::network::ListenScope;
use transport::tls::ServerTls;
use transport::{Endpoint, ListenError, Listener};

use crate::platform;
use crate::trust::socket_gate::SocketGate;

#[cfg(not(any(all(unix, feature = "unix"), feature = "tcp", feature = "quic")))]
compile_error!(
    "no transport is chosen: build with one or more of the features 'unix' (on Unix), 'tcp' and 'quic', or \
     with the default ones"
);

/// Why the daemon cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {endpoint}; give another with --address")]
    Listen {
        /// The address.
        endpoint: Endpoint,
        /// Why not.
        source: ListenError,
    },
    /// Another user could put a socket of their own in the place of the daemon's.
    #[error(
        "cannot listen on {endpoint}; fix the owner and mode that follow, or give another with --address"
    )]
    SocketPlace {
        /// The address.
        endpoint: Endpoint,
        /// Who could, and where.
        source: io::Error,
    },
    /// The address is of a transport that this daemon was built without.
    #[error(
        "cannot listen on {0}: this multipassd was built without the feature '{scheme}'; give an address of another \
         kind with --address, or use a build that has the feature",
        scheme = .0.scheme()
    )]
    NotBuiltIn(Endpoint),
}

/// The listeners on all addresses, and the gate of those that have one.
pub(crate) struct BoundListeners {
    pub(crate) listeners: Vec<Box<dyn Listener>>,
    pub(crate) gate: SocketGate,
}

/// Where the daemon listens if nobody says otherwise: at the platform's address, or at the nearest to it that
/// this build has. `None` if the user has no place for a socket.
pub(crate) fn default_endpoint() -> Option<Endpoint> {
    if cfg!(all(unix, feature = "unix")) {
        return platform::default_endpoint();
    }
    let at = transport::default_host_port();
    Some(if cfg!(feature = "tcp") { Endpoint::Tcp(at) } else { Endpoint::Quic(at) })
}

/// Listens on each of the addresses, with a gate that fits; on all of them, or on none. On a network in `scope`
/// alone.
pub(crate) async fn bind(
    addresses: &[Endpoint],
    scope: ListenScope,
    tls: &ServerTls,
    gate: SocketGate,
) -> Result<BoundListeners, BindError> {
    let mut bound = BoundListeners { listeners: Vec::new(), gate };
    for address in addresses {
        if let Err(error) = bound.add(address, scope, tls.clone()).await {
            for listener in bound.listeners {
                listener.close(Instant::now()).await;
            }
            return Err(error);
        }
    }
    Ok(bound)
}

impl BoundListeners {
    async fn add(&mut self, address: &Endpoint, scope: ListenScope, tls: ServerTls) -> Result<(), BindError> {
        #[cfg(not(any(feature = "tcp", feature = "quic")))]
        let _ = scope;
        let listening = match address {
            #[cfg(all(unix, feature = "unix"))]
            Endpoint::Unix(socket) => {
                // The transport looks at the socket's directory; whoever has one above it can move that one away.
                durable::private::beyond_others(socket.parent().unwrap_or(Path::new("/")))
                    .map_err(|source| BindError::SocketPlace { endpoint: address.clone(), source })?;
                let access = self.gate.access();
                let listening = transport_unix::UnixTransport::new(access).bind(address, tls).await;
                listening.map(|listener| {
                    self.gate.guard(listener.gate());
                    Box::new(listener) as Box<dyn Listener>
                })
            }
            #[cfg(feature = "tcp")]
            Endpoint::Tcp(_) => transport_tcp::TcpTransport::new(scope).listen(address, tls).await,
            #[cfg(feature = "quic")]
            Endpoint::Quic(_) => transport_quic::QuicTransport::new(scope).listen(address, tls).await,
            other => return Err(BindError::NotBuiltIn(other.clone())),
        };
        let listener = listening.map_err(|source| BindError::Listen { endpoint: address.clone(), source })?;
        self.listeners.push(listener);
        Ok(())
    }
}
