//! Looks at each thing that stands between this user and the service, in the order in which a command meets them.
//!
//! It changes nothing, remembers nothing, and sends nothing secret. Nor does it enrol anyone, though a service that
//! awaits its first client takes it from nearly any call: what it asks as a stranger it asks without a certificate, and
//! with one it asks `ping` alone, until the service has said that it trusts it.

mod identity;
mod qemu;
mod remedy;
mod report;
mod server;
mod service;
mod way;

use crate::connection::{Context, Service};
#[cfg(test)]
pub(crate) use report::Ailment;
pub(crate) use report::{Finding, Report, Verdict};

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
pub(crate) async fn examine(context: &Context) -> Report {
    let mut report = Report::default();
    let reached = reach(context, &mut report).await;
    let identity = identity::look(&mut report);
    match &reached {
        Some(reached) => service::look(context, reached, identity, &mut report).await,
        None => report.skip_all(&[TRUST, PASSPHRASE, VERSIONS]),
    }
    match context.endpoint() {
        Ok(endpoint) if endpoint.is_on_this_machine() => report.add(QEMU, qemu::look()),
        Ok(_) => report.add(QEMU, Verdict::skipped("the service is on another machine")),
        Err(_) => report.skip_all(&[QEMU]),
    }
    report
}

/// A service that has proven itself.
struct Reached {
    way: way::Way,
    trust: crate::connection::ServerTrust,
    /// Connected to as nobody.
    stranger: Service,
}

/// The way to the service, and whether it is the one that this client trusts.
async fn reach(context: &Context, report: &mut Report) -> Option<Reached> {
    let Some(way) = way::find(context, report) else {
        report.skip_all(&[CONNECTION, ROOT, SERVER, CLOCK]);
        return None;
    };
    let answer = way::connect(context, &way, report).await;
    let trust = report.take(ROOT, server::root(context, &way, answer.as_ref()).await);
    let (Some(answer), Some(trust)) = (answer, trust) else {
        report.skip_all(&[SERVER, CLOCK]);
        return None;
    };
    let stranger = server::look(context, &way, &answer, &trust, report).await?;
    Some(Reached { way, trust, stranger })
}
