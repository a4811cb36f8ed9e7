//! `version`: this client's version, and the service's if it answers and knows this client.
//!
//! Nobody gets an identity or is enrolled by asking for a version. The service takes its first client from
//! the first call of any kind but `ping`; so `ping` goes first, and whoever it does not know asks no further.

use std::time::Duration;

use crate::args::VersionArgs;
use crate::connection::{Context, Service, once};
use crate::credentials::IdentityStore;
use crate::error::Error;
use crate::format;

/// How long the service has to answer. Its version is an extra.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the command. Whatever keeps the service from answering is no failure.
///
/// # Errors
/// The result cannot be put into the format.
pub(super) async fn run(context: &Context, args: &VersionArgs) -> Result<String, Error> {
    let reply = ask(context).await;
    format::version::versions(reply.as_ref(), args.format.format)
}

async fn ask(context: &Context) -> Option<rpc::VersionReply> {
    let unknown = |reason: String| {
        context.note(|| format!("the service's version is not known: {reason}"));
    };
    match tokio::time::timeout(TIMEOUT, service_version(context)).await {
        Ok(Ok(Some(reply))) => return Some(reply),
        Ok(Ok(None)) => unknown("this user has no client certificate yet".to_owned()),
        Ok(Err(error)) => unknown(error.message()),
        Err(_) => unknown(format!("no answer within {} seconds", TIMEOUT.as_secs())),
    }
    None
}

async fn service_version(context: &Context) -> Result<Option<rpc::VersionReply>, Error> {
    let Some(identity) = IdentityStore::of_user()?.load()? else {
        return Ok(None);
    };
    let mut service = Service::connect_as(context, identity).await?;
    service.note_call("ping");
    service.rpc.ping(rpc::PingRequest {}).await.map_err(Error::from_status)?;

    service.note_call("version");
    let request = rpc::VersionRequest { verbosity_level: service.verbosity_level() };
    let mut found = None;
    let answer = service.rpc.version(once(request)).await;
    service
        .read_replies(answer, |reply: rpc::VersionReply| {
            if !reply.version.is_empty() {
                found = Some(reply);
            }
        })
        .await?;
    found.map(Some).ok_or(Error::InvalidReply("the service did not report its version"))
}
