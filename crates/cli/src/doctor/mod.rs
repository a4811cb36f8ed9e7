//! Looks at each thing that stands between this user and the service, in the order in which a command meets them.
//!
//! It changes nothing, remembers nothing, and sends nothing secret. Nor does it enrol anyone, though a service that
//! awaits its first client takes it from nearly any call: what it asks as a stranger it asks without a certificate, and
//! with one it asks `ping` alone, until the service has said that it trusts it.
//!
//! What was found is a [`Report`]; how that looks, `format` knows.

mod identity;
mod qemu;
mod remedy;
mod report;
mod route;
mod server;
mod service;

use crate::connection::{Context, ServerTrust, Service};
#[cfg(test)]
pub(crate) use report::Diagnosis;
pub(crate) use report::{Finding, Report, Verdict};
use route::Route;

const ADDRESS: &str = "address";
const TRANSPORT: &str = "transport";
const SOCKET: &str = "socket";
const ACCESS: &str = "access";
const CONNECTION: &str = "connection";
const ROOT: &str = "root certificate";
const SERVER: &str = "server";
const CLOCK: &str = "clock";
const IDENTITY: &str = "client certificate";
const KEY: &str = "client key";
const TRUST: &str = "trust";
const PASSPHRASE: &str = "passphrase";
const VERSIONS: &str = "versions";
const QEMU: &str = "qemu";

/// Looks at everything.
pub(crate) async fn diagnose(context: &Context) -> Report {
    let mut report = Report::default();
    let verified = verify_service(context, &mut report).await;
    let identity = identity::check(&mut report);
    match &verified {
        Some(verified) => service::check(context, verified, identity, &mut report).await,
        None => report.skip_all(&[TRUST, PASSPHRASE, VERSIONS]),
    }
    match context.endpoint() {
        Ok(endpoint) if endpoint.is_on_this_machine() => report.add(QEMU, qemu::check()),
        Ok(_) => report.add(QEMU, Verdict::skipped("the service is on another machine")),
        Err(_) => report.skip_all(&[QEMU]),
    }
    report
}

/// A service that has proven itself.
struct VerifiedService {
    route: Route,
    trust: ServerTrust,
    /// Connected to as nobody.
    anonymous: Service,
}

/// The way to the service, and whether it is the one that this client trusts.
async fn verify_service(context: &Context, report: &mut Report) -> Option<VerifiedService> {
    let Some(route) = route::find(context, report) else {
        report.skip_all(&[CONNECTION, ROOT, SERVER, CLOCK]);
        return None;
    };
    let unverified = route::check_connection(context, &route, report).await;
    let trust = report.take(ROOT, server::root(context, &route, unverified.as_ref()).await);
    let (Some(unverified), Some(trust)) = (unverified, trust) else {
        report.skip_all(&[SERVER, CLOCK]);
        return None;
    };
    let anonymous = server::check(context, &route, &unverified, &trust, report).await?;
    Some(VerifiedService { route, trust, anonymous })
}
