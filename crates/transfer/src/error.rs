//! What was not copied, and why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ssh::sftp::SftpError;
use thiserror::Error;

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    Local(PathBuf),
    /// In the guest, which may have chosen any bytes for it.
    Guest(Vec<u8>),
}

/// Something was not copied.
#[derive(Debug, Error)]
#[error("{location}: {reason}")]
pub struct TransferError {
    /// What.
    pub location: Location,
    /// Why not.
    #[source]
    pub reason: FailureReason,
}

/// Why something was not copied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// What the guest says.
    #[error(transparent)]
    Guest(SftpError),
    /// What the system here says.
    #[error(transparent)]
    Local(io::Error),
    /// It is a directory where there should be none, or nobody has said that directories are to be copied.
    #[error("is a directory")]
    Directory,
    /// It should be a directory.
    #[error("is not a directory")]
    NotADirectory,
    /// The directory does not exist.
    #[error("there is no such directory")]
    NoDirectory,
    /// It cannot be replaced.
    #[error("something of another kind is there already")]
    InTheWay,
    /// The name is none that a file can have on the other side.
    #[error("such a file name is not allowed there")]
    Name,
    /// The link leads elsewhere.
    #[error("is a link to outside of what is copied")]
    LinkOut,
    /// A device, a pipe, a socket.
    #[error("is neither a file nor a directory nor a link")]
    Special,
    /// Directories in directories without end.
    #[error("directories are nested too deeply")]
    TooDeep,
    /// Entries of directories without end.
    #[error("it has too many entries")]
    TooMuch,
}

impl TransferError {
    pub(crate) fn local(path: &Path, reason: impl Into<FailureReason>) -> Self {
        Self { location: Location::Local(path.to_owned()), reason: reason.into() }
    }

    pub(crate) fn guest(path: &[u8], reason: impl Into<FailureReason>) -> Self {
        Self { location: Location::Guest(path.to_owned()), reason: reason.into() }
    }

    /// Whether nothing more can be copied after it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match &self.reason {
            FailureReason::Guest(error) => error.is_final(),
            FailureReason::Local(error) => error.kind() == io::ErrorKind::StorageFull,
            FailureReason::TooMuch => true,
            _ => false,
        }
    }
}

impl From<SftpError> for FailureReason {
    fn from(error: SftpError) -> Self {
        match error {
            // What was read or written here is no matter of the guest's.
            SftpError::Source(error) | SftpError::Sink(error) => error.into(),
            error => Self::Guest(error),
        }
    }
}

impl From<io::Error> for FailureReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            _ => Self::Local(error),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Guest(path) => String::from_utf8_lossy(path).fmt(f),
        }
    }
}
