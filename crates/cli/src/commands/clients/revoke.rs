//! `clients revoke`: ends the trust in a client, and offers to change the passphrase that it may know.

use rpc::trust::RevokeRequest;

use super::find::find_client;
use super::{confirm, display_name, into_reply, is_own, list_clients, set_passphrase};
use crate::args::RevokeClientArgs;
use crate::commands::settings;
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::platform;
use crate::terminal::{output, prompt};

/// Runs the command.
///
/// # Errors
/// No such client is trusted, nobody confirmed it, or the service refused.
pub(super) async fn run(context: &Context, args: &RevokeClientArgs) -> Result<String, Error> {
    let mut service = Service::connect_as_administrator(context).await?;
    let clients = list_clients(&mut service).await?;
    let client = find_client(&clients, &args.client)?;
    let is_own = is_own(&service, client);
    if is_own && !args.yes {
        confirm("Revoke it?", "the client is still trusted").await?;
    }
    service.note_call("Revoke");
    let answer = service.trust.revoke(RevokeRequest { fingerprint: client.fingerprint.clone() }).await;
    let passphrase_is_set = into_reply(&service.endpoint, answer)?.passphrase_is_set;
    // It is done, whatever becomes of the rest.
    let done =
        format!("The client {} is no longer trusted.\n", display_name(&client.name, &client.fingerprint));
    output::print(&done).map_err(Error::Output)?;
    if passphrase_is_set {
        output::tell(
            "Whoever knows the passphrase can come back with it, and the client's owner may know it.",
        );
        // Who has just left may change nothing more, unless he is root.
        let may_set_it = !is_own || platform::is_root();
        if may_set_it && prompt::stdin_is_terminal() {
            offer_a_new_passphrase(context, &mut service).await?;
        } else {
            output::tell("To replace it, run `multipass set local.passphrase`.");
        }
    }
    Ok(String::new())
}

async fn offer_a_new_passphrase(context: &Context, service: &mut Service) -> Result<(), Error> {
    if !prompt::confirm("Replace the passphrase now?").await? {
        return Ok(());
    }
    match settings::ask_for_new_passphrase(context).await? {
        Some(passphrase) => set_passphrase(service, &passphrase).await,
        None => {
            output::tell("The passphrase stays as it is.");
            Ok(())
        }
    }
}
