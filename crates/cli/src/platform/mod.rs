//! What differs between operating systems: where the user's files are, who may use a file or connect to a socket, other
//! users' accounts, signals, and a terminal's settings.
//!
//! It knows no other folder.

mod directories;
mod socket;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use directories::{HOME_VARIABLE, identity_directory, is_drive, own_directory};
pub(crate) use socket::{Denial, Listener, SocketFile};
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

// What every system has to have.
pub(crate) use system::{
    Account, EchoOff, RawTerminal, blocked_directory, create_private_directory, create_private_file, exec_as,
    explain_denial, exposure, is_own, is_root, is_stopped, keep_memory_private, listener, make_private,
    open_lock_file, open_nonblocking, others_may_change, owns_directory_of, restrict_command, socket_file,
    stdin_as_utf8, termination_signal, unbuffered_stdin, user_name,
};
