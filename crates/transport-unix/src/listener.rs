//! A bound Unix socket: taking the name over safely, accepting, and leaving nothing behind.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use tokio::net::{UnixSocket, UnixStream};
use tokio::time::Instant;
use transport::tls::ServerTls;
use transport::{
    AcceptError, ByteStreamIncoming, Endpoint, Incoming, ListenError, Listener, LiveConnections, Origin,
};

use crate::socket_file::{SocketFile, open_directory, open_lock_file};
use crate::system;
use crate::{SocketAccess, UnixGate};

/// Connections that the kernel completes before the daemon accepts them: as many as Linux allows by default
/// (`net.core.somaxconn`), so that a burst of strangers does not turn others away.
const BACKLOG: u32 = 4096;

/// A socket that listens.
#[derive(Debug)]
pub struct UnixListener {
    socket: tokio::net::UnixListener,
    file: Arc<SocketFile>,
    endpoint: [Endpoint; 1],
    tls: ServerTls,
    connections: LiveConnections,
    /// Held as long as the socket is ours. Its file stays: removing a lock file would let two
    /// processes each lock one of the same name.
    _lock: File,
}

impl UnixListener {
    pub(crate) async fn bind(path: &Path, access: SocketAccess, tls: ServerTls) -> Result<Self, ListenError> {
        let fails = |step, source| ListenError::Io { step, path: path.to_owned(), source };
        let directory = checked_directory(path)?;
        let lock = lock(path)?;
        remove_stale(path).await?;

        let socket = UnixSocket::new_stream().map_err(|e| fails("make a socket for", e))?;
        bind_closed(&socket, path).map_err(|e| fails("bind", e))?;
        let file = match SocketFile::open(directory, path) {
            Ok(file) => Arc::new(file),
            Err(error) => {
                // Under the lock, a socket in this place is the one just bound.
                if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    let _ = std::fs::remove_file(path);
                }
                return Err(fails("open", error));
            }
        };
        let listening = UnixGate(Arc::clone(&file))
            .set(access)
            .map_err(|e| fails("set the owner and mode of", e))
            .and_then(|()| socket.listen(BACKLOG).map_err(|e| fails("listen on", e)));
        match listening {
            Ok(socket) => Ok(Self {
                socket,
                file,
                endpoint: [Endpoint::Unix(path.to_owned())],
                tls,
                connections: LiveConnections::default(),
                _lock: lock,
            }),
            Err(error) => {
                file.unlink();
                Err(error)
            }
        }
    }

    /// The handle that changes who may connect.
    #[must_use]
    pub fn gate(&self) -> UnixGate {
        UnixGate(Arc::clone(&self.file))
    }
}

#[async_trait]
impl Listener for UnixListener {
    async fn accept(&mut self) -> Result<Box<dyn Incoming>, AcceptError> {
        let (stream, credentials) = loop {
            let (stream, _) = self.socket.accept().await.map_err(AcceptError::Transient)?;
            // On some systems a peer that has gone has none any more. That is its own affair: others are not
            // to wait for it.
            if let Ok(credentials) = system::peer_credentials(&stream) {
                break (stream, credentials);
            }
        };
        let origin = Origin::Local(credentials);
        Ok(Box::new(ByteStreamIncoming::new(stream, origin, self.tls.clone(), &self.connections)))
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoint
    }

    async fn close(self: Box<Self>, deadline: Instant) {
        self.file.unlink();
        drop(self.socket);
        self.connections.drain(deadline).await;
    }
}

/// Binds so that the socket's file is closed to others from its first moment. On Linux the mode of an
/// unbound socket becomes that of the file.
#[cfg(target_os = "linux")]
fn bind_closed(socket: &UnixSocket, path: &Path) -> io::Result<()> {
    nix::sys::stat::fchmod(socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(path)
}

/// As on Linux, where sockets have no mode before they are bound. The mask is the process's, so what
/// other threads create in this moment is closed too; a daemon binds before it serves.
#[cfg(not(target_os = "linux"))]
fn bind_closed(socket: &UnixSocket, path: &Path) -> io::Result<()> {
    let before = nix::sys::stat::umask(Mode::S_IXUSR | Mode::S_IRWXG | Mode::S_IRWXO);
    let bound = socket.bind(path);
    nix::sys::stat::umask(before);
    bound
}

/// The directory of the socket. One in which another user could put a socket of their own in place of ours is refused.
fn checked_directory(path: &Path) -> Result<File, ListenError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let fails = |source| ListenError::Io { step: "use the directory", path: directory.to_owned(), source };
    let opened = open_directory(directory).map_err(fails)?;
    let metadata = opened.metadata().map_err(fails)?;
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(ListenError::DirectoryOfAnother(directory.to_owned()));
    }
    if others_may_replace(metadata.mode(), metadata.gid(), SYSTEMS_GROUPS) {
        return Err(ListenError::DirectoryWritableByOthers(directory.to_owned()));
    }
    Ok(opened)
}

/// Groups that none but root and the system's own services are in, and that may write to where sockets are: on macOS
/// /var/run is `root:daemon` 0775, and `daemon` is 1.
const SYSTEMS_GROUPS: &[u32] = if cfg!(target_os = "macos") { &[1] } else { &[] };

/// Whether what is in a directory of this mode and group can be replaced by who does not own it.
fn others_may_replace(mode: u32, group: u32, trusted: &[u32]) -> bool {
    let by_others = mode & 0o002 != 0 || mode & 0o020 != 0 && !trusted.contains(&group);
    let sticky = mode & 0o1000 != 0;
    by_others && !sticky
}

/// Takes the lock beside the socket. Only its holder may remove a socket that does not answer: one
/// that is bound and does not listen yet refuses connections just as a stale one does.
fn lock(path: &Path) -> Result<File, ListenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let fails = |source| ListenError::Io { step: "lock", path: name.clone(), source };
    let file = open_lock_file(&name).map_err(fails)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ListenError::InUse(Endpoint::Unix(path.to_owned()))),
        Err(TryLockError::Error(source)) => Err(fails(source)),
    }
}

/// Removes the socket that a daemon left behind which did not end in an orderly way. A daemon that
/// knows nothing of our lock is recognised by its answering.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let fails = |step, source| ListenError::Io { step, path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fails("look at", error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|e| fails("remove the stale", e))
        }
        Err(error) => Err(fails("find out who listens on", error)),
        Ok(_) => Err(ListenError::InUse(Endpoint::Unix(path.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_others_may_write_is_no_place_for_a_socket() {
        const DAEMON: u32 = 1;
        for (mode, group, trusted, expected) in [
            (0o755, 0, &[][..], false),
            (0o775, 0, &[], true),
            (0o777, 0, &[], true),
            (0o1777, 0, &[], false),
            (0o1775, 50, &[], false),
            // As macOS has it.
            (0o775, DAEMON, &[DAEMON], false),
            (0o775, DAEMON, &[], true),
            (0o777, DAEMON, &[DAEMON], true),
            (0o775, 80, &[DAEMON], true),
        ] {
            assert_eq!(others_may_replace(mode, group, trusted), expected, "{mode:o} {group} {trusted:?}");
        }
    }
}
