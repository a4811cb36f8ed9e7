//! Runs instances as QEMU virtual machines: one process each, which outlives the daemon and is found again.
//!
//! A guest may do anything in its QEMU, and may break out of it. So QEMU runs, where the daemon is root, as a
//! user that owns nothing but the machine's disk; it is handed open descriptors instead of paths; it may start
//! nothing; and what it says is bounded and not believed.
//!
//! Which instances there are, what they are asked to do and in which order is the caller's. On systems other
//! than Unix this crate is empty.
#![cfg(unix)]

mod accelerator;
mod account;
mod arguments;
mod attach;
mod disk;
mod driver;
mod error;
mod files;
mod forward;
mod image;
mod job;
mod launch;
mod platform;
mod programs;
mod qemu_img;
mod qmp;
mod reachable;
mod running;
mod seed;
mod serial;
mod snapshot;
mod sockets;
mod start;
mod stop;
mod suspended;

pub use accelerator::{Accelerator, Choice};
pub use driver::QemuDriver;
