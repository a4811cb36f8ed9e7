//! The daemon's library, driven in this process: what needs a store or a runtime of the test's own.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod first_client;
mod grants;
mod machines;
mod never_blocks;
mod open_file;
mod refusals;
mod server_identity;
mod support;
mod tokens;
