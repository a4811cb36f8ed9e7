//! Why the daemon could not start or go on.

use std::io;
use std::path::PathBuf;

use auth_core::StoreError;
use thiserror::Error;
use transport::tls::TlsError;

use crate::connections::transports::BindError;
use crate::data_directory::DataLockError;
use crate::platform::NoDirectory;
use crate::server_identity::ServerIdentityError;

/// Why the daemon could not start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// No place for its files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The limit of open files leaves no room for clients.
    #[error(
        "only {limit} files may be open at once, and this daemon needs {needed}; raise the limit, with LimitNOFILE= \
         in the systemd unit or 'ulimit -n' in the shell that starts it"
    )]
    Descriptors {
        /// How many there may be.
        limit: u64,
        /// How many there have to be.
        needed: u64,
    },
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another daemon uses the same data.
    #[error(transparent)]
    DataLock(#[from] DataLockError),
    /// No identity to present to clients.
    #[error(transparent)]
    Identity(#[from] ServerIdentityError),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The trust store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The administrators' group cannot be looked up.
    #[error("cannot look up the administrators' group")]
    Groups(#[source] io::Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An ordinary user's daemon has no place for its socket.
    #[error("XDG_RUNTIME_DIR is not set; name a socket of your own with --address unix:/path")]
    NoRuntimeDirectory,
    /// No more connections are accepted.
    #[error("the service ended unexpectedly")]
    Ended,
    /// The runtime or its signals failed.
    #[error("cannot run")]
    Runtime(#[source] io::Error),
}
