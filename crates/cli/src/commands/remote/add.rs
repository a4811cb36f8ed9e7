//! `remote add`: has a service prove itself, and gives it a name.

use crate::args::AddRemoteArgs;
use crate::context::Context;
use crate::error::Error;
use crate::output;
use crate::remotes::{Existing, Remote, Remotes, RemotesFault};
use crate::server_trust::ServerTrust;
use crate::service::Service;
use crate::transports;

/// Runs the command. The service learns nothing of this client, not even its certificate.
///
/// # Errors
/// The name is taken, there is no service, it is not trusted, or the name cannot be kept.
pub(super) async fn run(context: &Context, args: &AddRemoteArgs) -> Result<String, Error> {
    let AddRemoteArgs { name, address: endpoint, replace } = args;
    let remotes = Remotes::of_user()?;
    let before = match remotes.read()?.find(name) {
        Ok(_) if name.is_local() => return Err(RemotesFault::Local.into()),
        // Before anybody is asked anything. Another client may still be quicker.
        Ok(_) if !replace => return Err(RemotesFault::Exists(name.clone()).into()),
        Ok(before) => Some(before),
        Err(_) => None,
    };
    let transport = transports::reaching(endpoint)?;
    let trust = ServerTrust::for_new_remote(context, endpoint, &*transport, before.as_ref()).await?;
    context.note(|| format!("connecting to {endpoint}"));
    drop(Service::look_at(context, endpoint, &*transport, &trust, None).await?);

    let remote = Remote { name: name.clone(), endpoint: endpoint.clone(), fingerprint: trust.fingerprint() };
    remotes.add(&remote, if *replace { Existing::IsReplaced } else { Existing::Stays })?;
    output::tell(&format!(
        "`multipass --remote {name} <command>` runs a command there, `multipass remote default {name}` all of them."
    ));
    Ok(format!("The remote {name} is {endpoint}, known by {}.\n", trust.describe()))
}
