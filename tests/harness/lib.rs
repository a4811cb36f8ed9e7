//! The real binaries in a sandbox of their own: a daemon on temporary directories, and clients as
//! different users. Shared by the end-to-end tests and by `cargo xtask demo`.
#![cfg(unix)]

mod client;
mod daemon;
mod machines;
mod sandbox;
mod via;

pub use client::{Client, Outcome};
pub use daemon::{Daemon, DaemonOptions};
pub use machines::{end_machines, note_on_instances, without_qemu};
pub use sandbox::{Account, Sandbox, is_root, may_mount, through_shell, wait_until};
pub use test_process::skip;
pub use via::Via;
