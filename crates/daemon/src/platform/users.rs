//! As whom the daemon runs, and for whom.

use std::io;

/// Whom a daemon serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceScope {
    /// All users of the machine.
    System,
    /// The user who runs it.
    User,
}

/// Whom this daemon serves.
#[must_use]
pub fn service_scope() -> ServiceScope {
    if is_system_service() { ServiceScope::System } else { ServiceScope::User }
}

/// Whether this daemon is the machine's, serving all of its users.
#[cfg(unix)]
#[must_use]
pub fn is_system_service() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this daemon is the machine's, serving all of its users: it runs as the system or as administrator.
#[cfg(windows)]
#[must_use]
pub fn is_system_service() -> bool {
    win32::is_elevated()
}

/// The user whom this daemon runs as.
#[cfg(unix)]
#[must_use]
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The user whom this daemon runs as: on Windows one whom no peer has, for none comes over a Unix socket.
#[cfg(windows)]
#[must_use]
pub fn own_uid() -> u32 {
    u32::MAX
}

/// The administrators' group of the machine's daemon: the first that exists of `sudo`, `admin` and `wheel`, or
/// else root's. A user's own daemon has none.
///
/// # Errors
/// The group database cannot be read.
#[cfg(unix)]
pub fn admin_group() -> io::Result<Option<u32>> {
    if !is_system_service() {
        return Ok(None);
    }
    for name in ["sudo", "admin", "wheel"] {
        match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => return Ok(Some(group.gid.as_raw())),
            // Where there is no group database, musl says so, and glibc that there is no such group.
            Ok(None) | Err(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(0))
}

/// The administrators' group: none on Windows, where nothing is guarded by one.
///
/// # Errors
/// None.
#[cfg(windows)]
pub fn admin_group() -> io::Result<Option<u32>> {
    Ok(None)
}
