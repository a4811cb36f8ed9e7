//! `networks`: the networks of the service's machine that an instance may be joined to.

use rpc::NetworksRequest;

use crate::args::NetworksArgs;
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::format;

/// Runs the command.
///
/// # Errors
/// The call failed.
pub(crate) async fn networks(context: &Context, args: &NetworksArgs) -> Result<String, Error> {
    let mut service = Service::connect(context).await?;
    service.note_call("networks");
    let request = NetworksRequest { verbosity_level: service.verbosity_level() };
    let mut interfaces = Vec::new();
    let answer = service.rpc.networks(once(request)).await;
    service.read_replies(answer, |reply: rpc::NetworksReply| interfaces.extend(reply.interfaces)).await?;
    format::networks::networks(&interfaces, args.format.format)
}
