//! Sessions with a real SSH server, russh's, which does what the tests want of it; and SFTP.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod commands;
mod guest;
mod hostile;
mod sftp;
