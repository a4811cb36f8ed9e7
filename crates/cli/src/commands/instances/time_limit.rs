//! `--timeout` of the commands that start instances.
//!
//! The service keeps it, and knows best what it was waiting for; the client gives up only where the service does
//! not answer in spite of it.

use std::future::Future;
use std::time::Duration;

use crate::error::Error;

/// How much longer than it was given the service may take to say that its time is up.
const GRACE: Duration = Duration::from_secs(5);

/// What comes of `waiting`, for the instance `to` do something, within `seconds` if there is a limit.
///
/// # Errors
/// Those of `waiting`, or that it took too long.
pub(super) async fn within(
    seconds: Option<i32>,
    to: &str,
    waiting: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let Some(seconds) = seconds.and_then(|seconds| u64::try_from(seconds).ok()) else {
        return waiting.await;
    };
    let limit = Duration::from_secs(seconds).saturating_add(GRACE);
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| {
        Err(Error::failed(
            format!("timed out waiting for the instance {to}"),
            "Check its state with `multipass list`, or allow it more time with --timeout.".to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_service_has_its_time_and_a_little_more() {
        let answers_after = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        };
        for (limit, takes, in_time) in
            [(None, 100_000, true), (Some(3), 4, true), (Some(3), 9, false), (Some(i32::MAX), 9, true)]
        {
            match within(limit, "to start", answers_after(takes)).await {
                Ok(()) => assert!(in_time, "{limit:?} {takes}"),
                Err(error) => {
                    assert!(!in_time, "{limit:?} {takes}");
                    assert_eq!(error.message(), "timed out waiting for the instance to start");
                    assert_eq!(error.exit_code(), 2);
                }
            }
        }
    }
}
