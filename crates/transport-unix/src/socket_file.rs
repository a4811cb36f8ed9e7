//! The socket's file, the directory that it is in, and the lock beside it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};

/// The socket's file, by its name in a directory that is held by a descriptor: whoever owns a directory further up
/// could swap what is on the path for something else.
///
/// No system changes the mode of a socket's file by a descriptor of its own, but Linux where there is a `/proc`. So
/// there is a moment between the look at what has the name, and the change. In the directory, which the listener has
/// checked, nobody but root and the daemon's user can use it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    directory: File,
    name: OsString,
    identity: (libc::dev_t, libc::ino_t),
}

impl SocketFile {
    /// The socket just bound with the last part of `path` as its name.
    pub(crate) fn open(directory: File, path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_owned();
        let Some(identity) = socket_in(&directory, &name)? else { return Err(something_else()) };
        Ok(Self { directory, name, identity })
    }

    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        Ok(fchownat(&self.directory, self.name()?, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    pub(crate) fn set_mode(&self, mode: libc::mode_t) -> io::Result<()> {
        let mode = Mode::from_bits_truncate(mode);
        // Not to follow a link is what Linux cannot do here without a `/proc`; this name is none.
        Ok(fchmodat(&self.directory, self.name()?, mode, FchmodatFlags::FollowSymlink)?)
    }

    /// Removes the socket's name, unless the name is another's by now.
    pub(crate) fn unlink(&self) {
        if let Ok(name) = self.name() {
            // Nothing can be done about a failure, and the next start takes the stale name over.
            let _ = unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// The socket's name, if it still is.
    fn name(&self) -> io::Result<&OsStr> {
        match socket_in(&self.directory, &self.name)? {
            Some(identity) if identity == self.identity => Ok(&self.name),
            _ => Err(something_else()),
        }
    }
}

/// Which socket has that name in the directory, if a socket has.
fn socket_in(directory: &File, name: &OsStr) -> io::Result<Option<(libc::dev_t, libc::ino_t)>> {
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let is_socket = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits();
    Ok(is_socket.then_some((found.st_dev, found.st_ino)))
}

fn something_else() -> io::Error {
    io::Error::other("something else stands in the socket's place")
}

/// Holds a directory, to find files in it and to ask for no more.
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    // Elsewhere there is no such flag for all, and the directory has to be readable.
    #[cfg(target_os = "linux")]
    let access = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let access = OFlag::O_RDONLY;
    // Not by `OpenOptions`: with musl that takes O_PATH for a part of the access mode, and leaves it out.
    Ok(nix::fcntl::open(path, access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?.into())
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
