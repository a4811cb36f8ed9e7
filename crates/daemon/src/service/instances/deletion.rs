//! `delet`, `recover` and `purge`: into the bin, out of it, and emptying it.

use std::sync::{Arc, Mutex, PoisonError};

use auth_core::Authenticated;
use instances::InstanceState;
use rpc::{DeleteReply, DeleteRequest, PurgeReply, PurgeRequest, RecoverReply, RecoverRequest};
use tonic::Status;

use super::{Service, check_name_count, for_each, is_not_deleted, outcome, power, select};
use crate::service::grpc::ReplySender;
use crate::service::status::excerpt;

pub(in crate::service) async fn delete(
    service: &Service,
    _by: &Authenticated,
    request: DeleteRequest,
    replies: ReplySender<DeleteReply>,
) -> Result<(), Status> {
    let pairs = request.instance_snapshot_pairs;
    check_name_count(pairs.len())?;
    let instances = service.instances().await?;
    let of_snapshot = pairs.iter().find(|pair| pair.snapshot_name.is_some());
    let of_snapshot = of_snapshot.map(|pair| excerpt(&pair.instance_name));
    let names: Vec<String> = pairs.into_iter().map(|pair| pair.instance_name).collect();
    let for_good = request.purge;
    let selected = select(&instances, &names, |one| for_good || is_not_deleted(one)).await?;
    if let Some(name) = of_snapshot {
        return Err(Status::not_found(format!("instance \"{name}\" has no snapshots")));
    }
    let gone = Arc::new(Mutex::new(Vec::new()));
    let failed = for_each(selected, |name| {
        let (instances, gone) = (instances.clone(), Arc::clone(&gone));
        async move {
            if for_good {
                instances.delete_for_good(&name).await?;
                gone.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_string());
                return Ok(());
            }
            instances.delete(&name).await
        }
    });
    let failed = failed.await;
    let mut purged_instances = std::mem::take(&mut *gone.lock().unwrap_or_else(PoisonError::into_inner));
    purged_instances.sort();
    replies.send(DeleteReply { purged_instances, ..Default::default() }).await;
    outcome(&failed)
}

pub(in crate::service) async fn recover(
    service: &Service,
    _by: &Authenticated,
    request: RecoverRequest,
) -> Result<RecoverReply, Status> {
    let names = power::names(request.instance_names)?;
    let instances = service.instances().await?;
    let selected = select(&instances, &names, |one| one.state == InstanceState::Deleted).await?;
    let failed = for_each(selected, |name| {
        let instances = instances.clone();
        async move { instances.recover(&name).await }
    });
    outcome(&failed.await).map(|()| RecoverReply::default())
}

pub(in crate::service) async fn purge(
    service: &Service,
    _by: &Authenticated,
    _: PurgeRequest,
    replies: ReplySender<PurgeReply>,
) -> Result<(), Status> {
    let purged = service.instances().await?.purge().await;
    let purged_instances = purged.gone.iter().map(ToString::to_string).collect();
    replies.send(PurgeReply { purged_instances, ..Default::default() }).await;
    outcome(&purged.failed)
}
