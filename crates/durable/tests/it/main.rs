//! Files that are replaced whole, and files and directories that are ours alone.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

#[cfg(unix)]
mod leftovers;
#[cfg(unix)]
mod private;
mod replace;
mod support;
#[cfg(windows)]
mod windows;
