//! What a system may tell of the service's socket.

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
