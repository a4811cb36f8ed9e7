//! `deauthenticate`: this client gives up the trust that the service has in it.

use rpc::trust::DeauthenticateRequest;
use tonic::Code;

use super::clients::confirm;
use crate::args::DeauthenticateArgs;
use crate::connection::{Context, Service};
use crate::error::Error;

/// Runs the command.
///
/// # Errors
/// Nobody confirmed it, this client is not trusted, or the service refused.
pub(super) async fn run(context: &Context, args: &DeauthenticateArgs) -> Result<String, Error> {
    if !args.yes {
        confirm("Have the service no longer trust it?", "the client is still trusted").await?;
    }
    let mut service = Service::connect(context).await?;
    service.note_call("Deauthenticate");
    service.trust.deauthenticate(DeauthenticateRequest {}).await.map_err(|status| {
        match (status.code(), &service.endpoint) {
            (Code::Unauthenticated, endpoint) => Error::failed(
                format!(
                    "the service at {endpoint} does not trust this client, so there is nothing to give up"
                ),
                None,
            ),
            (Code::Unimplemented, endpoint) => Error::failed(
                format!("the service at {endpoint} cannot be asked for that: it is a stock service, or an older one"),
                "Ask who administers it to remove this client's certificate from its file of clients."
                    .to_owned(),
            ),
            _ => Error::from_status(status),
        }
    })?;
    Ok("This client is no longer trusted. To come back, run `multipass authenticate`, or ask an administrator.\n"
        .to_owned())
}
