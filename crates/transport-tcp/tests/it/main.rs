//! The TCP transport, against the contract of every transport and on its own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests' code: it fails by panicking"
)]

mod accept;
mod contract;
mod dial;
mod in_use;
mod listen;
#[cfg(target_os = "linux")]
mod network;
mod support;
