//! `wait-ready`: waits for a service that is about to start.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::Code;

use crate::args::WaitReadyArgs;
use crate::connection::{Context, Service, once};
use crate::error::Error;

/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// A service that starts keeps its socket to itself for an instant: a denial counts once it is repeated.
const DENIALS: u32 = 2;

/// Runs the command. Success prints nothing.
///
/// # Errors
/// The service was not ready in time, or it will never be for this user.
pub(super) async fn run(context: &Context, args: &WaitReadyArgs) -> Result<String, Error> {
    let deadline =
        args.timeout.map(|seconds| (seconds, Instant::now() + Duration::from_secs(seconds.into())));
    let mut last = None;
    let mut denials = 0;
    loop {
        let attempt = async {
            let mut service = Service::connect(context).await?;
            service.note_call("wait_ready");
            let request = rpc::WaitReadyRequest { verbosity_level: service.verbosity_level() };
            let answer = service.rpc.wait_ready(once(request)).await;
            service.read_replies(answer, drop).await
        };
        let outcome = match deadline {
            None => Some(attempt.await),
            Some((_, end)) => timeout_at(end, attempt).await.ok(),
        };
        match outcome {
            Some(Ok(())) => return Ok(String::new()),
            Some(Err(error)) => {
                denials = if matches!(error, Error::SocketDenied { .. }) { denials + 1 } else { 0 };
                let fleeting = (1..DENIALS).contains(&denials);
                if !fleeting && !is_transient(&error) {
                    return Err(error);
                }
                context.note(|| format!("not ready: {}", error.message()));
                last = Some(Box::new(error));
            }
            None => {}
        }
        match deadline {
            Some((seconds, end)) if Instant::now() + RETRY_INTERVAL >= end => {
                sleep_until(end).await;
                return Err(Error::NotReady { seconds, source: last });
            }
            _ => sleep(RETRY_INTERVAL).await,
        }
    }
}

/// Whether a failure is one of a service that starts, and waiting may help.
fn is_transient(error: &Error) -> bool {
    match error {
        Error::NoService { .. }
        | Error::RootCertificateMissing { .. }
        | Error::ConnectTimeout { .. }
        | Error::ConnectionLost(_)
        // The socket accepts connections before the service speaks TLS on them, or goes down again.
        | Error::Connect { .. } => true,
        Error::Refused(status) => status.code() == Code::Unavailable,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tonic::Status;

    use super::*;

    #[test]
    fn only_what_passes_is_waited_for() {
        let endpoint: transport::Endpoint = "unix:/run/none".parse().expect("an address");
        for (error, expected) in [
            (Error::NoService { endpoint, source: io::ErrorKind::NotFound.into() }, true),
            (Error::RootCertificateMissing { path: "/none".into() }, true),
            (Error::from_status(Status::unavailable("starting")), true),
            (Error::from_status(Status::unauthenticated("")), false),
            (Error::from_status(Status::unimplemented("")), false),
            (Error::Identity(crate::credentials::IdentityStoreError::NoHome), false),
        ] {
            assert_eq!(is_transient(&error), expected, "{error}");
        }
    }
}
