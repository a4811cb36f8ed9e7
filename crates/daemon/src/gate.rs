//! The gate: who may reach the service at all.
//!
//! The machine's daemon keeps strangers away from its Unix sockets as long as it knows no client; then
//! everyone may come, and must authenticate. A user's own daemon keeps others away always. A network has no
//! gate: nobody is enrolled for being first over one.

use std::io;

use auth_core::{Enrolled, Gate};
use transport_unix::{SocketAccess, UnixGate};

/// The gates of all Unix sockets that the daemon listens on. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct SocketGate {
    sockets: Vec<UnixGate>,
    admin_gid: Option<u32>,
}

impl SocketGate {
    /// A gate before there is any socket. `admin_gid` is the administrators' group of the machine's daemon; a
    /// user's own has none.
    pub(crate) fn new(admin_gid: Option<u32>) -> Self {
        Self { sockets: Vec::new(), admin_gid }
    }

    /// Who may reach a service that knows no client, or some.
    pub(crate) fn access(&self, nobody_is_trusted: bool) -> SocketAccess {
        match self.admin_gid {
            None => SocketAccess::Private,
            Some(group) if nobody_is_trusted => SocketAccess::Group(group),
            Some(_) => SocketAccess::Everyone,
        }
    }

    /// Guards one more socket.
    pub(crate) fn guard(&mut self, socket: UnixGate) {
        self.sockets.push(socket);
    }

    /// Lets in whom a service may see that knows no client, or some. Each socket is tried.
    pub(crate) fn set(&self, nobody_is_trusted: bool) -> io::Result<()> {
        let access = self.access(nobody_is_trusted);
        self.sockets.iter().map(|socket| socket.set(access)).fold(Ok(()), Result::and)
    }
}

/// The authority's view: it only ever opens.
impl Gate for SocketGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        self.set(false)
    }
}
