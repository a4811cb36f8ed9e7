//! SFTP with OpenSSH's server, and with servers that answer as they should not.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod hostile;
#[cfg(unix)]
mod openssh;
