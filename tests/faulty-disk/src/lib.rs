//! A disk that fails, and loses power, under the system calls of a test.
//!
//! Whichever test target links this crate makes its changes to files through the functions in `calls.rs`,
//! which pass them on. While [`record`] runs, each change below one directory is a *step*: it is logged, or
//! refused if the [`Plan`] that is [`set`] says so. From the log, [`Log::states`] makes all that the disk may
//! hold after a cut of the power. [`walk`] does all of that to a test's work, one thing after another.
//!
//! What it is not: a file system. It knows the calls that replace files whole; [`record`] panics if the
//! directory was changed in a way that it did not see. It is for Linux with glibc, and empty elsewhere.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod calls;
mod check;
mod disk;
mod log;
mod recording;
mod tree;
pub mod walk;

pub use log::{Log, Step};
pub use recording::{Extent, Fault, Plan, record, set};
pub use tree::{Entry, Tree};
