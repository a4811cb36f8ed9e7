//! Unix sockets in a machine's directory, however long its path: a socket's address has room for a hundred
//! bytes alone.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

/// Listens; what is there of that name must have been removed.
pub(crate) fn listen(directory: &Path, name: &str) -> io::Result<UnixListener> {
    let short = Short::open(directory)?;
    UnixListener::bind(short.path(name))
}

/// Connects.
pub(crate) async fn connect(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let short = Short::open(directory)?;
    UnixStream::connect(short.path(name)).await
}

/// A directory under a short name, for as long as this lives.
struct Short {
    path: PathBuf,
    _opened: Option<File>,
}

impl Short {
    #[cfg(target_os = "linux")]
    fn open(directory: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let opened = File::open(directory)?;
        let path = format!("/proc/self/fd/{}", opened.as_raw_fd()).into();
        Ok(Self { path, _opened: Some(opened) })
    }

    #[cfg(not(target_os = "linux"))]
    fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self { path: directory.to_owned(), _opened: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_path_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let listener = listen(&deep, "qmp.sock").unwrap();
        connect(&deep, "qmp.sock").await.unwrap();
        listener.accept().unwrap();
        assert!(deep.join("qmp.sock").exists());
        assert_eq!(listen(&deep, "qmp.sock").unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
