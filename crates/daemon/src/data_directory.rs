//! The directory that holds all of the daemon's files: made for its user alone, and used by one daemon at a time. What
//! is in it is the matter of others.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use durable::private;
use thiserror::Error;

/// That other daemons are kept away from the data, until it is dropped.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

/// Why the data directory is not this daemon's alone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataLockError {
    /// The lock cannot be had.
    #[error("cannot use the data directory {path}")]
    File {
        /// The file that is locked.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another daemon uses the same data.
    #[error(
        "another multipassd uses {0}; stop it first, or set MULTIPASS_STORAGE to a directory for this one"
    )]
    InUse(PathBuf),
}

/// Makes the directory, and those above it, where they are missing.
///
/// # Errors
/// It is another user's, a link, or cannot be used for another reason.
pub(crate) fn create(data: &Path) -> io::Result<()> {
    private::create_all(data.parent().unwrap_or(Path::new("/"))).and_then(|()| private::directory(data))
}

/// Keeps other daemons away from the data.
///
/// # Errors
/// There is one, or the lock cannot be had.
pub(crate) fn lock(data: &Path) -> Result<DataLock, DataLockError> {
    let path = data.join("daemon.lock");
    let fails = |source| DataLockError::File { path: path.clone(), source };
    let file = private::lock_file(&path).map_err(fails)?;
    match file.try_lock() {
        Ok(()) => Ok(DataLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(DataLockError::InUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(fails(source)),
    }
}
