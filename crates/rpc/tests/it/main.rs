//! Pins the generated types and client to the contract, number by number.
//!
//! Expected bytes are read by the hand-written reader in [`wire`], not by prost, so that the encoder and its
//! check cannot agree on the same mistake.

// Clippy's leave for tests ends at the test functions; helpers fail tests too.
#![allow(clippy::expect_used, clippy::panic)]

mod enums;
mod kind;
mod messages;
mod methods;
mod presence;
mod secrets;
mod wire;
