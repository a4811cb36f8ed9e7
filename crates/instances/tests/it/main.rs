//! Instances from outside: the registry's files, the images, and the commands over a driver in memory.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod commands;
mod download;
mod image_store;
mod images;
mod launch;
mod registry;
mod world;
