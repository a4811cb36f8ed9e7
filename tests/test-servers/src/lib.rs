//! Servers that tests talk to: one of http and https, a guest's SSH server, and OpenSSH's SFTP server. What they say
//! the tests decide; how it is judged is no affair of this crate, which knows nothing of what it serves.
#![allow(clippy::expect_used, reason = "tests' code: it fails by panicking")]

mod guest;
mod http;
mod sftp;

pub use guest::{Guest, Heard};
pub use http::{Request, Say, Server};
pub use rcgen::Certificate;
pub use sftp::sftp;
