//! What every transport builds on: identities, a client's judgement of the server, and streams that can be cut. The rest of this crate is
//! tested through real transports, by the contract in its testkit.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests' code: it fails by panicking"
)]

mod identity;
mod server_certificate;
mod stream;
mod unverified;
