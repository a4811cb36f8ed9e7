//! Linux, macOS and the like: everything below a directory is reached by its descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RawMode};
use rustix::io::Errno;
use ssh::sftp::{Attributes, FileType};

use super::FileStatus;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    /// Opens what the user names; links are followed, as they are the user's own.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::openat(CWD, path, Self::FLAGS, Mode::empty())?))
    }

    /// Opens a directory in this one; a link to one is none.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(fs::openat(&self.0, name, Self::FLAGS | OFlags::NOFOLLOW, Mode::empty())?))
    }

    const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// Makes a directory, with these permissions less what this process' mask takes.
    pub(crate) fn make(&self, name: &OsStr, permissions: u32) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, name, mode(permissions))?)
    }

    /// What there is of this name, if anything.
    pub(crate) fn find(&self, name: &OsStr) -> io::Result<Option<FileStatus>> {
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(of_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in it, in order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if !matches!(&name[..], b"." | b"..") {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a file to be read. A link is not followed, and a pipe not waited for.
    pub(crate) fn read(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Makes a file, with these permissions less what this process' mask takes. There must be nothing of this name.
    pub(crate) fn create(&self, name: &OsStr, permissions: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, mode(permissions))?.into())
    }

    /// Gives a new file exactly these permissions.
    pub(crate) fn set_permissions_of(file: &File, permissions: u32) -> io::Result<()> {
        Ok(fs::fchmod(file, mode(permissions))?)
    }

    /// Takes from this directory's permissions those that are not among these.
    pub(crate) fn keep_permissions(&self, permissions: u32) -> io::Result<()> {
        let has = of_mode(fs::fstat(&self.0)?.st_mode).permissions;
        Ok(fs::fchmod(&self.0, mode(has & permissions))?)
    }

    /// Renames over a file or a link, if there is one.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file or a link.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Makes a link.
    pub(crate) fn link(&self, name: &OsStr, target: &[u8]) -> io::Result<()> {
        Ok(fs::symlinkat(OsStr::from_bytes(target), &self.0, name)?)
    }

    /// Where a link points to.
    pub(crate) fn target(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }
}

/// What an open file, or one that was asked about, is.
pub(crate) fn found(metadata: &Metadata) -> FileStatus {
    of_mode(metadata.mode())
}

/// A name from a guest as one here: any bytes can be one.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere not all are")]
pub(crate) fn name(name: &[u8]) -> Option<OsString> {
    Some(OsStr::from_bytes(name).to_owned())
}

/// A name or a path from here as the guest's.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere not all can be")]
pub(crate) fn guest_bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(name.as_bytes().to_owned())
}

/// The numbers are SFTP's too. Their type differs between systems.
fn of_mode(mode: impl Into<u32>) -> FileStatus {
    let attributes = Attributes::of_mode(mode.into());
    FileStatus {
        kind: attributes.kind().unwrap_or(FileType::Special),
        permissions: attributes.permissions().unwrap_or_default(),
    }
}

fn mode(permissions: u32) -> Mode {
    // Nine bits fit into every system's type.
    Mode::from_raw_mode(RawMode::try_from(permissions & 0o777).unwrap_or_default())
}
