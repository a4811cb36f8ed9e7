//! What the service says: whether it trusts this client, whether there is a passphrase, its version.

use std::future::Future;

use tonic::{Code, Status};
use transport::Endpoint;
use transport::tls::Identity;

use super::remedy;
use super::report::{Report, Verdict};
use super::{PASSPHRASE, TRUST, VERSIONS, VerifiedService};
use crate::VERSION;
use crate::connection::{CONNECT_TIMEOUT, Context, Service, once};
use crate::error::Error;
use crate::platform;

/// Asks it. Until it has said that it trusts this client, with a certificate nothing is asked that enrols anyone.
pub(super) async fn check(
    context: &Context,
    verified: &VerifiedService,
    identity: Option<Identity>,
    report: &mut Report,
) {
    match connect_if_trusted(context, verified, identity).await {
        Ok(Some(mut service)) => {
            report.add(TRUST, Verdict::passed("the service trusts this client"));
            report.add(PASSPHRASE, passphrase_by_client(&mut service).await);
            report.add(VERSIONS, versions(&mut service).await);
        }
        Ok(None) => {
            let is_set = passphrase_by_anonymous(&verified.anonymous).await;
            report.add(TRUST, not_trusted(context, verified, is_set));
            report.add(PASSPHRASE, passphrase(is_set));
            let why = format!("multipass {VERSION}; the service tells its version to clients that it trusts");
            report.add(VERSIONS, Verdict::skipped(why));
        }
        Err(error) => {
            report.add(TRUST, Verdict::of_error(&error));
            report.skip_all(&[PASSPHRASE, VERSIONS]);
        }
    }
}

/// A connection as this client, if the service trusts it.
async fn connect_if_trusted(
    context: &Context,
    verified: &VerifiedService,
    identity: Option<Identity>,
) -> Result<Option<Service>, Error> {
    let Some(identity) = identity else { return Ok(None) };
    let VerifiedService { route, trust, .. } = verified;
    let mut service =
        Service::connect_to(context, &route.endpoint, &*route.transport, trust, Some(identity)).await?;
    match within_timeout(service.rpc.ping(rpc::PingRequest {})).await {
        Ok(_) => Ok(Some(service)),
        Err(status) if status.code() == Code::Unauthenticated => Ok(None),
        Err(status) => Err(Error::from_status(status)),
    }
}

/// What comes of a call, unless it takes too long.
async fn within_timeout<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late =
        || Status::deadline_exceeded(format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()));
    tokio::time::timeout(CONNECT_TIMEOUT, call).await.unwrap_or_else(|_| Err(late()))
}

/// Whether there is a passphrase, as a client is told that is trusted.
async fn passphrase_by_client(service: &mut Service) -> Verdict {
    let request =
        rpc::GetRequest { key: "local.passphrase".to_owned(), verbosity_level: service.verbosity_level() };
    let asked = async {
        let mut replies = service.rpc.get(once(request)).await?.into_inner();
        let mut is_set = false;
        while let Some(reply) = replies.message().await? {
            // A stock service sends the passphrase's hash.
            is_set |= !reply.value.is_empty();
        }
        Ok(is_set)
    };
    passphrase(within_timeout(asked).await.ok())
}

/// The same, as a stranger is told: by an attempt without a certificate, which could not be let in, and without a
/// passphrase, which cannot be the right one.
async fn passphrase_by_anonymous(service: &Service) -> Option<bool> {
    let request =
        rpc::AuthenticateRequest { passphrase: String::new(), verbosity_level: service.verbosity_level() };
    let mut rpc = Clone::clone(&service.rpc);
    let asked = async {
        let mut replies = rpc.authenticate(once(request)).await?.into_inner();
        while replies.message().await?.is_some() {}
        Ok(())
    };
    match within_timeout(asked).await.map_err(|status| status.code()) {
        Err(Code::FailedPrecondition) => Some(false),
        Err(Code::InvalidArgument) => Some(true),
        _ => None,
    }
}

fn passphrase(is_set: Option<bool>) -> Verdict {
    match is_set {
        Some(true) => Verdict::passed("it is set: whoever knows it can authenticate"),
        Some(false) => Verdict::passed("it is not set: nobody new can authenticate"),
        None => Verdict::skipped("the service does not tell whether it is set"),
    }
}

async fn versions(service: &mut Service) -> Verdict {
    let request = rpc::VersionRequest { verbosity_level: service.verbosity_level() };
    let asked = async {
        let mut replies = service.rpc.version(once(request)).await?.into_inner();
        let mut version = String::new();
        while let Some(reply) = replies.message().await? {
            if !reply.version.is_empty() {
                version = reply.version;
            }
        }
        Ok(version)
    };
    match within_timeout(asked).await {
        Ok(version) if version == VERSION => {
            Verdict::passed(format!("multipass {VERSION}, multipassd {version}"))
        }
        Ok(version) => Verdict::warning(
            format!("multipass {VERSION}, multipassd {version}: their versions differ"),
            "Features that only one of them has do not work. Install the same version of both.",
            None,
        ),
        Err(status) => Verdict::of_error(&Error::from_status(status)),
    }
}

/// What this user can do to be trusted.
fn not_trusted(context: &Context, verified: &VerifiedService, passphrase: Option<bool>) -> Verdict {
    let endpoint = &verified.route.endpoint;
    let over_unix = matches!(endpoint, Endpoint::Unix(_));
    if over_unix && platform::is_root() {
        return Verdict::problem(
            "the service does not trust root's client",
            "Root may let it in:",
            Some(remedy::client_command(context, "clients add --self")),
        );
    }
    // It is opened to all when the first client is enrolled; but a daemon of the user's own keeps it shut.
    if verified.route.socket.as_ref().is_some_and(|socket| socket.mode & 0o002 == 0) {
        return Verdict::problem(
            "the service does not trust this client, and seems to await its first one",
            "The first client is let in for being the first, by whatever command:",
            Some(remedy::client_command(context, "list")),
        );
    }
    match passphrase {
        Some(false) if over_unix => {
            let user = remedy::user_name();
            let add = format!("clients add --user {}", remedy::shell_quoted(&user));
            Verdict::problem(
                "the service does not trust this client, and has no passphrase to authenticate with",
                "Have an administrator let you in:",
                Some(remedy::client_command_as_root(context, &add)),
            )
        }
        Some(false) => Verdict::problem(
            "the service does not trust this client, and has no passphrase to authenticate with",
            "Have somebody whom it trusts set one, then authenticate with it:",
            Some("multipass set local.passphrase".to_owned()),
        ),
        _ => Verdict::problem(
            "the service does not trust this client",
            "Authenticate with the passphrase, or a token, which an administrator gives you:",
            Some(remedy::client_command(context, "authenticate")),
        ),
    }
}
