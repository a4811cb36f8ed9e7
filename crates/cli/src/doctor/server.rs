//! Whether the service is the one that this client trusts: the root by which it is known, the handshake without a
//! certificate of this client, and the clocks.

use std::io;
use std::time::SystemTime;

use transport::tls::{CertificateDates, PresentedValidity, Validity};

use super::remedy;
use super::report::{Diagnosis, Report, Verdict};
use super::route::{Route, UnverifiedServer};
use super::{CLOCK, SERVER};
use crate::connection::{
    Context, ExpectedRoot, FINGERPRINT_VARIABLE, ROOT_CERTIFICATE_VARIABLE, ServerTrust, ServerTrustError,
    Service, UnknownServer,
};
use crate::error::Error;
use crate::platform::Listener;

/// By what the service is known, if that can be read.
pub(super) async fn root(
    context: &Context,
    route: &Route,
    unverified: Option<&UnverifiedServer>,
) -> Result<(ServerTrust, Verdict), Verdict> {
    match ServerTrust::find(context, &route.endpoint, &*route.transport, UnknownServer::Refuse).await {
        Ok(trust) => {
            let verdict = Verdict::passed(format!("the service is known by {}", trust.describe()));
            Ok((trust, verdict))
        }
        Err(error) => Err(root_problem(context, route, unverified, &error).await),
    }
}

/// What keeps the service's root from being known.
async fn root_problem(
    context: &Context,
    route: &Route,
    unverified: Option<&UnverifiedServer>,
    error: &Error,
) -> Verdict {
    let cause = error.message();
    let about_the_file = matches!(
        error,
        Error::RootCertificateMissing { .. }
            | Error::RootCertificateInvalid { .. }
            | Error::RootCertificateUnreadable { .. }
    );
    if about_the_file && let Some(verdict) = use_system_root(context, route, &cause).await {
        return verdict;
    }
    match error {
        Error::RootCertificateMissing { .. } if unverified.is_none() => remedy::start_service(
            context,
            &route.endpoint,
            format!("{cause}; the service writes it when it starts"),
        ),
        Error::RootCertificateMissing { .. } | Error::RootCertificateInvalid { .. } => {
            Verdict::Problem(remedy::republish_root(cause, trusted_listener(unverified)))
        }
        Error::RootCertificateUnreadable { path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Verdict::problem(
                cause,
                "Everybody may read it, for it is public. Open it:",
                Some(remedy::as_root(&format!("chmod a+r {}", remedy::quoted_path(path)))),
            )
        }
        Error::RootCertificateUnreadable { .. } => Verdict::problem(
            cause,
            "Name the file in which the service publishes its root certificate, or use the system's:",
            Some(format!("unset {ROOT_CERTIFICATE_VARIABLE}")),
        ),
        Error::Fingerprint(_) | Error::Usage { .. } => Verdict::problem(
            cause,
            error.next_step().unwrap_or_default(),
            Some(format!("unset {FINGERPRINT_VARIABLE}")),
        ),
        Error::ServerTrust(fault) if matches!(**fault, ServerTrustError::Unknown(_)) => Verdict::problem(
            cause,
            "Run a command on a terminal, which shows the service's fingerprint and asks whether you trust it. \
             `sudo multipassd fingerprint` prints the right one on that machine:",
            Some(remedy::client_command(context, "list")),
        ),
        _ => Verdict::of_error(error),
    }
}

/// Completes a handshake with the service, as nobody.
pub(super) async fn check(
    context: &Context,
    route: &Route,
    unverified: &UnverifiedServer,
    trust: &ServerTrust,
    report: &mut Report,
) -> Option<Service> {
    let met = Service::connect_to(context, &route.endpoint, &*route.transport, trust, None).await;
    let clock = clock(context, &unverified.presented, trust.dates);
    let error = match met {
        Ok(service) => {
            report.add(SERVER, Verdict::passed("it proved to be the service that this client trusts"));
            report.add(CLOCK, clock);
            return Some(service);
        }
        Err(error) => error,
    };
    if let Verdict::Problem(_) = clock {
        report.add(SERVER, Verdict::skipped("its certificate's dates are in the way: see clock"));
        report.add(CLOCK, clock);
        return None;
    }
    report.add(SERVER, untrusted(context, route, unverified, &error).await);
    report.skip_all(&[CLOCK]);
    None
}

/// A service that is not the one which this client trusts.
async fn untrusted(
    context: &Context,
    route: &Route,
    unverified: &UnverifiedServer,
    error: &Error,
) -> Verdict {
    let cause = error.message();
    let accepting = match error {
        Error::ServerTrust(fault) => match &**fault {
            ServerTrustError::Changed { .. } => Some("--fingerprint THE-FINGERPRINT list".to_owned()),
            ServerTrustError::RemoteChanged { name, endpoint, .. } => Some(format!(
                "remote add --replace {name} {} --fingerprint THE-FINGERPRINT",
                remedy::shell_quoted(&endpoint.to_string())
            )),
            _ => None,
        },
        _ => None,
    };
    if let Some(accepting) = accepting {
        return Verdict::problem(
            cause,
            format!(
                "The service has a new root, or something else answers and waits for your passphrase. Have the service's own \
                 machine print its fingerprint. If that is the one presented here, accept it with `multipass \
                 {accepting}`; do not go on if it is another. On that machine:"
            ),
            // Never what the peer has said of itself: commands are copied without the words around them.
            Some("sudo multipassd fingerprint".to_owned()),
        );
    }
    if !matches!(error, Error::ServerUntrusted { .. }) {
        return Verdict::of_error(error);
    }
    if let Some(verdict) = use_system_root(context, route, &cause).await {
        return verdict;
    }
    let Diagnosis { cause, advice, command } =
        remedy::republish_root(cause, trusted_listener(Some(unverified)));
    let advice = format!("The service has a new root, or is another than you mean. {advice}");
    Verdict::problem(cause, advice, command)
}

/// What to do if another file than the system's was named, and the system's would have been the right one.
async fn use_system_root(context: &Context, route: &Route, cause: &str) -> Option<Verdict> {
    let Ok(ExpectedRoot::Certificate(named)) = context.expected_root() else { return None };
    let system = transport::system_root_certificate();
    if named == system || !route.endpoint.is_on_this_machine() {
        return None;
    }
    let trust = ServerTrust::by_system_file(&route.endpoint)?;
    Service::connect_to(context, &route.endpoint, &*route.transport, &trust, None).await.ok()?;
    let command = match context.root_options() {
        None => format!("unset {ROOT_CERTIFICATE_VARIABLE}"),
        Some((option, _)) => format!("multipass doctor  # without {option}"),
    };
    let advice = format!("It is the system's service, with its root in {}. Use that:", system.display());
    Some(Verdict::problem(cause, advice, Some(command)))
}

/// Who listens, if it is somebody who may say what root is to be trusted here: root can do so anyway, and so can who
/// listens as this user.
fn trusted_listener(unverified: Option<&UnverifiedServer>) -> Option<&Listener> {
    unverified?.listener.as_ref().filter(|listener| listener.is_roots || listener.is_own)
}

/// The dates in the service's certificate, by this machine's clock.
fn clock(context: &Context, presented: &PresentedValidity, dates: CertificateDates) -> Verdict {
    let Some(validity) = presented.validity() else {
        return Verdict::skipped("the service presents no certificate that can be read");
    };
    clock_verdict(context, validity, SystemTime::now(), dates)
}

fn clock_verdict(context: &Context, validity: Validity, now: SystemTime, dates: CertificateDates) -> Verdict {
    let Validity { not_before, not_after } = validity;
    let shown = |moment| humantime::format_rfc3339_seconds(moment).to_string();
    let span = format!(
        "the service's certificate is valid from {} to {}, and this machine's clock says {}",
        shown(not_before),
        shown(not_after),
        shown(now)
    );
    let set_clock = cfg!(target_os = "linux").then(|| remedy::as_root("timedatectl set-ntp true"));
    let here = context.endpoint().is_ok_and(|endpoint| endpoint.is_on_this_machine());
    let (advice, command) = if now < not_before {
        ("Set the clock: this machine's is behind, or that of the service's machine is ahead.", set_clock)
    } else if now > not_after && here {
        (
            "Restart the service, which renews its certificate; if the date is wrong, set this machine's clock.",
            remedy::restart_service(context),
        )
    } else if now > not_after {
        (
            "Have the service restarted, which renews its certificate; if the date is wrong, set the clock.",
            set_clock,
        )
    } else {
        return Verdict::passed(span);
    };
    match dates {
        CertificateDates::Enforced => Verdict::problem(span, advice, command),
        // Between two programs of one machine nobody is kept out by them.
        CertificateDates::Ignored => Verdict::warning(span, advice, command),
    }
}

#[cfg(all(unix, feature = "unix"))]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_judged_by_this_machines_clock() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let validity = Validity { not_before: at(1000), not_after: at(2000) };
        let context = Context::at("unix:/run/none", "/none".into());
        for (now, dates, status, part) in [
            (999, CertificateDates::Enforced, "problem", "is behind"),
            (1000, CertificateDates::Enforced, "ok", ""),
            (2000, CertificateDates::Enforced, "ok", ""),
            (2001, CertificateDates::Enforced, "problem", "renews"),
            (2001, CertificateDates::Ignored, "warning", "renews"),
        ] {
            let verdict = clock_verdict(&context, validity, at(now), dates);
            assert_eq!(verdict.status(), status, "{now}");
            match verdict {
                Verdict::Problem(diagnosis) | Verdict::Warning(diagnosis) => {
                    assert!(diagnosis.advice.contains(part), "{diagnosis:?}");
                    // This service is no unit of the system's, so nobody knows how it is restarted.
                    let sets_the_clock = now < 1000 && cfg!(target_os = "linux");
                    assert_eq!(diagnosis.command.is_some(), sets_the_clock, "{diagnosis:?}");
                    assert!(diagnosis.cause.contains("1970-01-01T00:16:40Z"), "{diagnosis:?}");
                }
                Verdict::Passed(_) | Verdict::Skipped(_) => {}
            }
        }
    }
}
