//! The socket's gate: who may reach the service at all.
//!
//! The machine's daemon keeps strangers away as long as it knows no client; then everyone may come, and
//! must authenticate. A user's own daemon keeps others away always.

use std::io;

use auth_core::{Enrolled, Gate};
use transport_unix::{SocketAccess, UnixGate};

/// Who may reach a service that knows no client, or some. `admin_gid` is the administrators' group of the
/// machine's daemon; a user's own has none.
pub(crate) fn access(admin_gid: Option<u32>, nobody_is_trusted: bool) -> SocketAccess {
    match admin_gid {
        None => SocketAccess::Private,
        Some(group) if nobody_is_trusted => SocketAccess::Group(group),
        Some(_) => SocketAccess::Everyone,
    }
}

/// The gate of a Unix socket. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct SocketGate {
    pub(crate) socket: UnixGate,
    pub(crate) admin_gid: Option<u32>,
}

impl SocketGate {
    /// Lets in whom a service may see that knows no client, or some.
    pub(crate) fn set(&self, nobody_is_trusted: bool) -> io::Result<()> {
        self.socket.set(access(self.admin_gid, nobody_is_trusted))
    }
}

/// The authority's view: it only ever opens.
impl Gate for SocketGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        self.set(false)
    }
}
