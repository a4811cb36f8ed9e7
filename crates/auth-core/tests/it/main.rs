//! The judgement from outside: the decisions, the race of first clients, the files and the passphrase.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod administration;
mod authority;
mod by_hand;
mod file_store;
mod installer;
mod levels;
mod passphrase;
mod race;
mod revocation;
mod support;
mod takeover;
mod tokens;
