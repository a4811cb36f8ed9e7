//! The system calls behind the socket. The only module of the project with `unsafe` in it.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use transport::OsCredentials;

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
        #[cfg(target_os = "linux")]
        let file = {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC)
                .open(path)?
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

    /// A path that leads to this very file. Linux follows the descriptor; elsewhere there is no way to
    /// change a socket's mode through a descriptor, and the path is checked to be still ours.
    fn reach(&self) -> io::Result<PathBuf> {
        #[cfg(target_os = "linux")]
        return Ok(PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd())));
        #[cfg(not(target_os = "linux"))]
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
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// The credentials of the process at the other end, as they were when it connected.
pub(crate) fn peer_credentials(stream: &UnixStream) -> io::Result<OsCredentials> {
    let credentials = stream.peer_cred()?;
    let groups = peer_groups(stream.as_fd().as_raw_fd(), credentials.gid())?;
    Ok(OsCredentials { uid: credentials.uid(), gid: credentials.gid(), groups, pid: credentials.pid() })
}

/// The peer's supplementary groups (`SO_PEERGROUPS`, socket(7)).
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no crate wraps SO_PEERGROUPS")]
fn peer_groups(socket: RawFd, _primary: u32) -> io::Result<Vec<u32>> {
    // The kernel's limit on a process's groups is 65536 (NGROUPS_MAX); most have fewer than 64.
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let capacity = groups.len() * size_of::<libc::gid_t>();
        let mut length = libc::socklen_t::try_from(capacity).map_err(io::Error::other)?;
        // SAFETY: `groups` is valid for writes of `length` bytes, and `length` for a write of its own
        // type; both outlive the call. The kernel writes at most `length` bytes.
        let result = unsafe {
            libc::getsockopt(
                socket,
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let needed = usize::try_from(length).map_err(io::Error::other)? / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too small a buffer: the kernel has told how much it takes.
        if error.raw_os_error() != Some(libc::ERANGE) || needed <= groups.len() {
            return Err(error);
        }
        groups.resize(needed, 0);
    }
}

/// The peer's groups (`LOCAL_PEERCRED`, unix(4)): the effective group and up to 15 more.
#[cfg(target_vendor = "apple")]
#[expect(unsafe_code, reason = "no crate wraps the groups of LOCAL_PEERCRED")]
fn peer_groups(socket: RawFd, _primary: u32) -> io::Result<Vec<u32>> {
    // SAFETY: `xucred` is plain data, for which all zeroes is a valid value.
    let mut credentials: libc::xucred = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::xucred>()).map_err(io::Error::other)?;
    // SAFETY: `credentials` is valid for writes of `length` bytes, and `length` for a write of its own
    // type; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_LOCAL,
            libc::LOCAL_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let count = usize::try_from(credentials.cr_ngroups).unwrap_or(0);
    Ok(credentials.cr_groups.iter().copied().take(count).collect())
}

/// Other systems tell the primary group alone.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn peer_groups(_socket: RawFd, primary: u32) -> io::Result<Vec<u32>> {
    Ok(vec![primary])
}
