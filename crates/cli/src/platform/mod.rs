//! What differs between operating systems: where the client's certificate lies, who may connect to the
//! socket, who owns a file, other users' accounts, and a terminal's echo.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directory of the user's client certificate, shared by all of the user's clients, stock ones included.
/// `None` when the environment does not tell where the user's files are.
pub(crate) fn identity_directory() -> Option<PathBuf> {
    Some(data_directory(|name| env::var_os(name))?.join("multipass-client-certificate"))
}

/// The directory of what this client alone keeps for the user. `None` as for [`identity_directory`].
pub(crate) fn own_directory() -> Option<PathBuf> {
    Some(data_directory(|name| env::var_os(name))?.join("multipass-client"))
}

/// What has to be set in the environment for [`identity_directory`] to be known.
pub(crate) const HOME_VARIABLE: &str = if cfg!(windows) { "LOCALAPPDATA" } else { "HOME" };

/// Whether what stands before the first colon of a path is a drive.
pub(crate) fn is_drive(prefix: &str) -> bool {
    cfg!(windows) && prefix.len() == 1
}

/// Where programs keep a user's data.
fn data_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        return set(HOME_VARIABLE);
    }
    if cfg!(target_os = "macos") {
        return Some(set(HOME_VARIABLE)?.join("Library/Application Support"));
    }
    // "All paths set in these environment variables must be absolute. If an implementation encounters a
    // relative path […] it should consider the path invalid and ignore it" (XDG Base Directory).
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set(HOME_VARIABLE)?.join(".local/share")))
}

/// Why the system does not let this user connect to the service's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(windows, expect(dead_code, reason = "only sockets' files tell more"))]
pub(crate) enum Denial {
    /// The user's account is a member of the group, but this login began before it was one.
    NewMember {
        /// The socket's group.
        group: String,
    },
    /// Only members of a group may connect.
    NotMember {
        /// The socket's group.
        group: String,
    },
    /// Only one user may connect.
    OwnerOnly {
        /// The socket's owner.
        owner: String,
    },
    /// The socket's own permissions do not tell.
    Unknown {
        /// The socket, or the address.
        place: String,
    },
}

impl Denial {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::NewMember { group } => format!(
                "You are a member of the group '{group}', but not in this session: log out and in again."
            ),
            Self::NotMember { group } => format!(
                "Only members of the group '{group}' may connect, until the first of them has. Ask an \
                 administrator to connect first, or to add you to the group."
            ),
            Self::OwnerOnly { owner } => format!("The service runs for the user '{owner}' only."),
            Self::Unknown { place } => format!("Ask an administrator for access to {place}."),
        }
    }
}

/// A socket's file.
#[derive(Clone, Debug)]
pub(crate) struct SocketFile {
    /// Whether it is one.
    pub(crate) is_socket: bool,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner's name.
    pub(crate) owner: String,
    /// Its group's name.
    pub(crate) group: String,
    /// Whether this user owns it.
    pub(crate) is_own: bool,
    /// Whether the system lets this process connect to it.
    pub(crate) may_connect: bool,
}

/// Who listens on a socket, as the system vouches for it.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// The process, where the system tells it.
    pub(crate) process: Option<i32>,
    /// What its program is called, where the system tells it. Anybody may call a program so.
    pub(crate) program: Option<String>,
    /// The name of the user whom it runs as.
    pub(crate) user: String,
    /// Whether that is this user.
    pub(crate) is_own: bool,
    /// Whether that is root.
    pub(crate) is_roots: bool,
}

#[cfg(unix)]
pub(crate) use account::{Account, exec_as, is_own, is_root};
#[cfg(unix)]
pub(crate) use unix::{
    EchoOff, RawTerminal, create_private_directory, create_private_file, explain_denial, keep_memory_private,
    make_private, open_lock_file, open_nonblocking, others_may_change, stdin_as_utf8, termination_signal,
    unbuffered_stdin,
};

#[cfg(unix)]
pub(crate) use look::{
    blocked_directory, exposure, is_stopped, listener, owns_directory_of, restrict_command, socket_file,
    user_name,
};

#[cfg(unix)]
mod account;
#[cfg(unix)]
mod look;
#[cfg(unix)]
mod unix;

#[cfg(windows)]
pub(crate) use windows::{
    Account, EchoOff, RawTerminal, blocked_directory, create_private_directory, create_private_file, exec_as,
    explain_denial, exposure, is_own, is_root, is_stopped, keep_memory_private, listener, make_private,
    open_lock_file, open_nonblocking, others_may_change, owns_directory_of, restrict_command, socket_file,
    stdin_as_utf8, termination_signal, unbuffered_stdin, user_name,
};

#[cfg(windows)]
mod windows;

#[cfg(not(any(windows, target_os = "macos")))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_the_xdg_specification() {
        for (xdg, home, expected) in [
            (Some("/x"), Some("/home/u"), Some("/x")),
            (None, Some("/home/u"), Some("/home/u/.local/share")),
            (Some(""), Some("/home/u"), Some("/home/u/.local/share")),
            (Some("relative"), Some("/home/u"), Some("/home/u/.local/share")),
            (Some("relative"), None, None),
            (None, Some(""), None),
        ] {
            let found = data_directory(|name| if name == "HOME" { home } else { xdg }.map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{xdg:?} {home:?}");
        }
    }
}
