//! The driver with a real QEMU. What needs a guest that is up starts the image of `cargo xtask guest-image`.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests' code: it fails by panicking"
)]

mod faults;
mod interrupted;
mod lab;
mod story;
mod together;
