//! Why a file or a directory could not be used: the one error for it of whoever keeps files here.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file or a directory could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be read. It is never taken for an empty one.
    #[error("cannot read {path}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {path}")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process has the directory to itself.
    #[error("another process uses {0}; end it first")]
    InUse(PathBuf),
}

impl FileError {
    /// That `path` could not be read, for the system's reason.
    pub fn read(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Read { path: path.to_owned(), source }
    }

    /// That `path` could not be written, for the system's reason.
    pub fn write(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Write { path: path.to_owned(), source }
    }
}
