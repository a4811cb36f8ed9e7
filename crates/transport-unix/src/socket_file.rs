//! The socket's file and the lock beside it.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
#[cfg(target_os = "linux")]
use nix::sys::stat::Mode;

/// The socket's file, held by a descriptor: its path could be swapped for something else.
#[derive(Debug)]
pub(crate) struct SocketFile {
    #[cfg(target_os = "linux")]
    file: File,
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Holds the socket just bound at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Not by `OpenOptions`: with musl that takes O_PATH for a part of the access mode, and leaves it out.
        #[cfg(target_os = "linux")]
        let file = {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            File::from(nix::fcntl::open(path, flags, Mode::empty())?)
        };
        #[cfg(target_os = "linux")]
        let metadata = file.metadata()?;
        #[cfg(not(target_os = "linux"))]
        let metadata = std::fs::symlink_metadata(path)?;
        if !metadata.file_type().is_socket() {
            return Err(io::Error::other("something else stands in the socket's place"));
        }
        Ok(Self {
            #[cfg(target_os = "linux")]
            file,
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    /// A path that leads to this very file. Linux follows the descriptor, where there is a `/proc`; elsewhere there is
    /// no way to change a socket's mode through a descriptor, and the path is checked to be still ours.
    fn reach(&self) -> io::Result<PathBuf> {
        #[cfg(target_os = "linux")]
        {
            let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
            if by_descriptor.exists() {
                return Ok(by_descriptor);
            }
        }
        if self.is_at_its_path() {
            Ok(self.path.clone())
        } else {
            Err(io::Error::other("something else stands in the socket's place"))
        }
    }

    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::chown(self.reach()?, Some(uid), Some(gid))
    }

    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(self.reach()?, Permissions::from_mode(mode))
    }

    fn is_at_its_path(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Removes the socket's name, unless the name is another's by now.
    pub(crate) fn unlink(&self) {
        if self.is_at_its_path() {
            // Nothing can be done about a failure, and the next start takes the stale name over.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens the lock file beside a socket, creating it for this user alone.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        // Not through a link, and without waiting for the other end of a FIFO.
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}
