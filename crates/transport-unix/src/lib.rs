//! The service on a Unix socket.
//!
//! The kernel vouches for who connects: a peer's origin is its process's credentials. The socket file
//! also guards itself by owner and mode, through a [`UnixGate`] that the daemon opens once the first
//! client is enrolled. Who may be that first client is not decided here.
#![cfg(unix)]

mod gate;
mod listener;
mod socket_file;
mod system;

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UnixStream;
use tokio::time::sleep;
use transport::tls::{ClientTls, ServerTls};
use transport::{
    ByteStreamConnection, ConnectError, Connection, Endpoint, ListenError, Listener, Origin, OsCredentials,
    Transport,
};

pub use gate::{SocketAccess, UnixGate};
pub use listener::UnixListener;

/// The pause between tries to join the queue of those who wait to be accepted, which a busy service empties in
/// about this time.
const FULL_PAUSE: Duration = Duration::from_millis(2);

/// Listens on and dials `unix:` addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnixTransport {
    access: SocketAccess,
}

impl UnixTransport {
    /// A transport whose sockets are accessible to `access` from the moment they listen.
    #[must_use]
    pub fn new(access: SocketAccess) -> Self {
        Self { access }
    }

    /// As [`Transport::listen`], with the concrete type, which has the gate.
    ///
    /// # Errors
    /// The address is not a Unix socket's, is in use, or the system refused; nothing is left behind.
    pub async fn bind(&self, at: &Endpoint, tls: ServerTls) -> Result<UnixListener, ListenError> {
        match at {
            Endpoint::Unix(path) => UnixListener::bind(path, self.access, tls).await,
            other => Err(ListenError::Unsupported(other.clone())),
        }
    }
}

#[async_trait]
impl Transport for UnixTransport {
    async fn listen(&self, at: &Endpoint, tls: ServerTls) -> Result<Box<dyn Listener>, ListenError> {
        Ok(Box::new(self.bind(at, tls).await?))
    }

    async fn dial(&self, to: &Endpoint, tls: ClientTls) -> Result<Box<dyn Connection>, ConnectError> {
        let Endpoint::Unix(path) = to else {
            return Err(ConnectError::Unsupported(to.clone()));
        };
        let stream = connect(path).await.map_err(|source| {
            let endpoint = to.clone();
            match source.kind() {
                io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                    ConnectError::NotListening { endpoint, source }
                }
                io::ErrorKind::PermissionDenied => ConnectError::PermissionDenied { endpoint, source },
                _ => ConnectError::Unreachable { endpoint, source },
            }
        })?;
        // Of the daemon only the user is of interest, and not every kernel tells more.
        let daemon = stream
            .peer_cred()
            .map_err(|source| ConnectError::Unreachable { endpoint: to.clone(), source })?;
        let origin =
            OsCredentials { uid: daemon.uid(), gid: daemon.gid(), groups: Vec::new(), pid: daemon.pid() };
        ByteStreamConnection::connect(stream, Origin::Local(origin), &tls).await
    }
}

/// Connects, and while as many wait to be accepted as may, waits too. Where a blocking connect would, one that
/// does not block fails with EAGAIN (connect(2)), and nothing tells when there is room. So a crowd that
/// connects all the time does not keep others out.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_PAUSE).await,
            result => return result,
        }
    }
}
