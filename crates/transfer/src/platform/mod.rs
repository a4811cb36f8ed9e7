//! What differs between operating systems: directories that are entered without following links, and names.

use ssh::sftp::FileType;

/// What stands in a directory under a name; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStatus {
    /// What it is.
    pub(crate) kind: FileType,
    /// Who may read, write and execute it: nine bits.
    pub(crate) permissions: u32,
}

#[cfg(unix)]
pub(crate) use unix::{Dir, found, guest_bytes, name};

#[cfg(unix)]
mod unix;

#[cfg(windows)]
pub(crate) use windows::{Dir, found, guest_bytes, name};

#[cfg(windows)]
mod windows;
