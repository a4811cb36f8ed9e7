//! What users and administrators of Windows meet: the real `multipass.exe` and `multipassd.exe`, over TCP. Runs on
//! Windows, and under wine.
//!
//! What is the same everywhere is tested on Linux. Here it is who is let in, whose the files are, and the service.
#![cfg(windows)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod authenticate;
mod files;
mod service;
mod support;
