//! The server's certificates on a disk that loses power, or fails: the root key that clients have learned to
//! trust is there at the next start, and every start succeeds. And what an entry of the audit log asks of a disk.
//!
//! A target of its own: its system calls are replaced by those of `faulty_disk`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod certificates;
mod entries;
mod starts;
