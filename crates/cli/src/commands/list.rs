//! `list`: the instances, or their snapshots.

use rpc::list_reply::ListContents;

use crate::args::ListArgs;
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::format;

/// Runs the command.
///
/// # Errors
/// The call failed.
pub(super) async fn run(context: &Context, args: &ListArgs) -> Result<String, Error> {
    let mut service = Service::connect(context).await?;
    service.note_call("list");
    let request = rpc::ListRequest {
        verbosity_level: service.verbosity_level(),
        snapshots: args.snapshots,
        request_ipv4: true,
    };
    let (mut instances, mut snapshots) = (Vec::new(), Vec::new());
    let answer = service.rpc.list(once(request)).await;
    service
        .read_replies(answer, |reply: rpc::ListReply| match reply.list_contents {
            Some(ListContents::InstanceList(list)) => instances.extend(list.instances),
            Some(ListContents::SnapshotList(list)) => snapshots.extend(list.snapshots),
            None => {}
        })
        .await?;
    if args.snapshots {
        format::list::snapshots(&snapshots, args.format.format)
    } else {
        format::list::instances(&instances, args.format.format)
    }
}
