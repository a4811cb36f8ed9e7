//! Linux, macOS and the like.

mod account;
mod files;
mod process;
mod socket;
mod terminal;

pub(crate) use account::{Account, exec_as, is_own, is_root, user_name};
pub(crate) use files::{
    create_private_directory, create_private_file, exposure, make_private, open_lock_file, open_nonblocking,
    others_may_change, restrict_command,
};
pub(crate) use process::{is_stopped, keep_memory_private, termination_signal};
pub(crate) use socket::{blocked_directory, explain_denial, listener, owns_directory_of, socket_file};
pub(crate) use terminal::{EchoOff, RawTerminal, stdin_as_utf8, unbuffered_stdin};
