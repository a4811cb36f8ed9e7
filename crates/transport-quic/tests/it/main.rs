//! The QUIC transport, against the contract of every transport and on its own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests' code: it fails by panicking"
)]

mod contract;
mod dial;
mod end;
mod limits;
mod listen;
mod load;
mod network;
mod server_certificate;
mod support;
