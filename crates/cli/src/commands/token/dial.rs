//! Reaches the service that made a token at whichever of its addresses answers first. Of the token, nobody hears anything
//! here.

use std::future::{self, Future};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use transport::Endpoint;
use transport::tls::{Identity, RootFingerprint};

use crate::connection::{Context, ServerTrust, Service, transports};
use crate::credentials::Token;
use crate::error::Error;

/// How long an address is tried alone, before the next one is tried beside it: the Connection Attempt Delay of RFC 8305,
/// section 5.
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the service at `endpoint`, if it proves itself by the `root` that the token's has: nobody else learns who
/// calls. Nothing that the user knows of a service there counts, and nothing is remembered.
///
/// # Errors
/// The service was not reached, or is another one, as [`Error::concerns_connection`] tells.
pub(super) async fn dial(
    context: &Context,
    endpoint: &Endpoint,
    root: RootFingerprint,
    identity: Identity,
) -> Result<Service, Error> {
    let transport = transports::for_endpoint(endpoint)?;
    let trust = ServerTrust::by_token(endpoint, root);
    context.note(|| format!("connecting to {endpoint}, which has to have the root in the token"));
    Service::connect_to(context, endpoint, &*transport, &trust, Some(identity)).await
}

/// As [`dial`], at the first of the token's addresses that answers so; of the others, connections are given up. Tells
/// which address that is, by its place.
///
/// # Errors
/// What came of each address, in their order; or what stands in the way of all of them, alone.
pub(super) async fn dial_any(
    context: &Context,
    token: &Token,
    identity: &Identity,
) -> Result<(usize, Service), Vec<Error>> {
    let attempts = token.addresses().iter().map(|endpoint| {
        let (context, endpoint, identity) = (context.clone(), endpoint.clone(), identity.clone());
        let root = token.root();
        async move {
            let reached = dial(&context, &endpoint, root, identity).await;
            if let Err(error) = &reached {
                context.note(|| format!("not at {endpoint}: {}", error.message()));
            }
            reached
        }
    });
    // Only of what stands between this client and the service there may be less at another address.
    race(attempts, Error::concerns_connection).await
}

/// Makes the attempts in their order: each as soon as the one before it has failed, and
/// [`CONNECTION_ATTEMPT_DELAY`] after that began at the latest. The first that succeeds is the one, and the others are
/// given up.
///
/// # Errors
/// Those of all attempts, in their order; or one alone, after which no other `may_go_on`.
async fn race<T: Send + 'static>(
    mut attempts: impl Iterator<Item = impl Future<Output = Result<T, Error>> + Send + 'static>,
    may_go_on: impl Fn(&Error) -> bool,
) -> Result<(usize, T), Vec<Error>> {
    let (mut under_way, mut failures) = (JoinSet::new(), Vec::new());
    let (mut begun, mut next_at) = (0, Some(Instant::now()));
    loop {
        let turn = async move {
            match next_at {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            // Whoever has answered goes before whoever has not been asked.
            biased;
            Some(ended) = under_way.join_next() => match ended {
                Ok((place, Ok(found))) => return Ok((place, found)),
                Ok((_, Err(error))) if !may_go_on(&error) => return Err(vec![error]),
                Ok((place, Err(error))) => {
                    failures.push((place, error));
                    next_at = next_at.map(|_| Instant::now());
                }
                // Nothing aborts them before this ends.
                Err(_) => {}
            },
            () = turn => match attempts.next() {
                Some(attempt) => {
                    let place = begun;
                    under_way.spawn(async move { (place, attempt.await) });
                    begun += 1;
                    next_at = Some(Instant::now() + CONNECTION_ATTEMPT_DELAY);
                }
                None => next_at = None,
            },
        }
        if next_at.is_none() && under_way.is_empty() {
            failures.sort_by_key(|(place, _)| *place);
            return Err(failures.into_iter().map(|(_, error)| error).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// After how many milliseconds an attempt ends, and how.
    type End = (u64, Result<&'static str, &'static str>);

    /// What comes of those attempts, after how many milliseconds, and how many of them were begun.
    async fn outcome(ends: &[End]) -> (Result<(usize, &'static str), Vec<String>>, u128, usize) {
        let (begun, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let attempts = ends.iter().copied().map(|(after, end)| {
            let begun = Arc::clone(&begun);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(after)).await;
                end.map_err(|why| Error::failed(why, None))
            }
        });
        let outcome = race(attempts, |error| error.message() != "stop").await;
        let outcome = outcome.map_err(|errors| errors.iter().map(Error::message).collect());
        // The timer's own grain is none of its business.
        (outcome, started.elapsed().as_millis() / 10 * 10, begun.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_is_the_one_and_none_holds_up_the_next() {
        const NEVER: u64 = 1_000_000;
        let lost = |errors: &[&str]| Err(errors.iter().map(|error| (*error).to_owned()).collect::<Vec<_>>());
        for (ends, expected, after, begun) in [
            // Alone, as long as it has its head start.
            (&[(100, Ok("a")), (0, Ok("b"))][..], Ok((0, "a")), 100, 1),
            // Nobody is there: the next one need not wait.
            (&[(NEVER, Ok("a")), (10, Ok("b"))], Ok((1, "b")), 260, 2),
            (&[(NEVER, Ok("a")), (NEVER, Ok("b")), (10, Ok("c"))], Ok((2, "c")), 510, 3),
            // What fails at once costs no time.
            (&[(10, Err("a")), (10, Ok("b"))], Ok((1, "b")), 20, 2),
            // One that is slow may still be the first.
            (&[(300, Ok("a")), (NEVER, Ok("b"))], Ok((0, "a")), 300, 2),
            // All fail: told in their order, and not in that of their failures.
            (&[(600, Err("a")), (10, Err("b")), (20, Err("c"))], lost(&["a", "b", "c"]), 600, 3),
            // What is in the way of all.
            (&[(10, Err("stop")), (10, Ok("b"))], lost(&["stop"]), 10, 1),
            (&[], lost(&[]), 0, 0),
        ] {
            assert_eq!(outcome(ends).await, (expected, after, begun), "{ends:?}");
        }
    }
}
