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

mod alone;
pub mod certificates;
pub mod contract;
mod der;
pub mod relay;

use std::future::Future;
use std::io::Write;
use std::time::Duration;

pub use alone::alone;
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

/// Says that a test cannot run here, and why ("needs root"). The caller returns afterwards.
///
/// The line is also appended to the file that the variable `MULTIPASS_TEST_SKIPS` names, so that
/// skipped tests can be counted.
///
/// # Panics
/// The file cannot be written.
pub fn skip(why: &str) {
    println!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("MULTIPASS_TEST_SKIPS") {
        // One write: tests of other processes append to the same file.
        let line = format!("SKIPPED: {why}\n");
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the file that MULTIPASS_TEST_SKIPS names should be writable");
    }
}
