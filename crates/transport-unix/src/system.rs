//! The peer's credentials, as the kernel tells them. The only module of the project with `unsafe` in it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::net::UnixStream;
use transport::OsCredentials;

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
