//! The files of the store on a disk that loses power, or fails: what was acknowledged is there, and nothing
//! is there by half.
//!
//! A target of its own: its system calls are replaced by those of `faulty_disk`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod cuts;
mod faults;
mod operations;
mod store;
