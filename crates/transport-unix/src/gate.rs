//! Who the socket file lets through.

use std::io;
use std::sync::Arc;

use crate::socket_file::SocketFile;

/// Which users the kernel lets connect to the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketAccess {
    /// The user who runs the daemon, alone: mode 0600. The socket's owner is left as it is.
    #[default]
    Private,
    /// Root and the members of one group: `root:<group>`, mode 0660.
    Group(u32),
    /// Everyone: `root:root`, mode 0666.
    Everyone,
}

/// Changes who may connect to a bound socket.
#[derive(Clone, Debug)]
pub struct UnixGate(pub(crate) Arc<SocketFile>);

impl UnixGate {
    /// Sets who may connect from now on. Connections that exist stay.
    ///
    /// # Errors
    /// The system refused to change the owner or the mode.
    pub fn set(&self, access: SocketAccess) -> io::Result<()> {
        match access {
            SocketAccess::Private => self.0.set_mode(0o600),
            // Narrow before the owner changes, widen after: at no moment may anyone connect who may
            // not do so before or after.
            SocketAccess::Group(gid) => {
                self.0.set_mode(0o600)?;
                self.0.set_owner(0, gid)?;
                self.0.set_mode(0o660)
            }
            SocketAccess::Everyone => {
                // The mode goes first: a member of the group is not shut out for a moment in between.
                self.0.set_mode(0o666)?;
                self.0.set_owner(0, 0)
            }
        }
    }
}
