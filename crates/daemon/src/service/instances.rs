//! `list` and `info`. This daemon has no driver, and so no instances.

use auth_core::Authenticated;
use rpc::list_reply::ListContents;
use rpc::{InfoReply, InfoRequest, InstancesList, ListReply, ListRequest, SnapshotsList};
use tonic::Status;

use super::Service;

pub(super) async fn list(
    _: &Service,
    _by: &Authenticated,
    request: ListRequest,
) -> Result<ListReply, Status> {
    let contents = match request.snapshots {
        true => ListContents::SnapshotList(SnapshotsList::default()),
        false => ListContents::InstanceList(InstancesList::default()),
    };
    Ok(ListReply { list_contents: Some(contents), ..Default::default() })
}

pub(super) async fn info(
    _: &Service,
    _by: &Authenticated,
    request: InfoRequest,
) -> Result<InfoReply, Status> {
    match request.instance_snapshot_pairs.first() {
        Some(pair) => Err(Status::not_found(format!(
            "instance \"{}\" does not exist",
            pair.instance_name.escape_debug()
        ))),
        None => Ok(InfoReply { snapshots: request.snapshots, ..Default::default() }),
    }
}
