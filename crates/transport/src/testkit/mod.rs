//! For tests: the contract that every transport keeps, and the certificates and configurations which
//! the tests of a transport, of the daemon and of the client need.
//!
//! Behind the feature `testkit`, which only tests turn on. Nothing here is fit for production: keys are
//! made without care, and clients check as little as they are told to.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests' code: it fails by panicking"
)]

pub mod certificates;
pub mod contract;
mod der;
pub mod relay;

use std::future::Future;
use std::time::Duration;

#[cfg(unix)]
pub use test_process::is_root;
pub use test_process::{alone, skip};
pub use tokio_rustls::rustls;

pub use crate::{byte_stream_contract_tests, contract_tests};

/// How long a test may take before it counts as hanging. Most take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs an asynchronous test to its end.
///
/// # Panics
/// It does not end within [`PATIENCE`].
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, test).await.expect("the test should end within its time");
    });
}
