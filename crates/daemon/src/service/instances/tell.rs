//! `list` and `info`: what is known of instances without asking their guests.

use std::time::SystemTime;

use auth_core::Authenticated;
use instances::{InstanceState, Overview};
use rpc::detailed_info_item::ExtraInfo;
use rpc::instance_status::Status as Shown;
use rpc::list_reply::ListContents;
use rpc::{
    DetailedInfoItem, InfoReply, InfoRequest, InstanceDetails, InstanceStatus, InstancesList, ListReply,
    ListRequest, ListVmInstance, SnapshotsList,
};
use tonic::Status;

use super::failure::unknown;
use super::{Service, chosen, images};
use crate::machines::NoInstances;
use crate::service::status;

pub(in crate::service) async fn list(
    service: &Service,
    _by: &Authenticated,
    request: ListRequest,
) -> Result<ListReply, Status> {
    let mut reply = ListReply::default();
    if request.snapshots {
        reply.list_contents = Some(ListContents::SnapshotList(SnapshotsList::default()));
        return Ok(reply);
    }
    let all = match service.machines.get().await {
        Ok(instances) => instances.list().await,
        // Nothing runs, and that is an answer; why is said beside it.
        Err(why @ NoInstances::NoDriver(_)) => {
            reply.log_line = format!("{}\n", status::no_instances(&why).message());
            Vec::new()
        }
        Err(why) => return Err(status::no_instances(&why)),
    };
    let instances = all
        .into_iter()
        .map(|one| ListVmInstance {
            name: one.name.to_string(),
            instance_status: Some(shown(one.state)),
            ..Default::default()
        })
        .collect();
    reply.list_contents = Some(ListContents::InstanceList(InstancesList { instances }));
    Ok(reply)
}

pub(in crate::service) async fn info(
    service: &Service,
    _by: &Authenticated,
    request: InfoRequest,
) -> Result<InfoReply, Status> {
    let pairs = request.instance_snapshot_pairs;
    let mut reply = InfoReply { snapshots: request.snapshots, ..Default::default() };
    let instances = match service.machines.get().await {
        Ok(instances) => instances,
        Err(why @ NoInstances::NoDriver(_)) => {
            if let Some(pair) = pairs.first() {
                return Err(unknown(&pair.instance_name));
            }
            reply.log_line = format!("{}\n", status::no_instances(&why).message());
            return Ok(reply);
        }
        Err(why) => return Err(status::no_instances(&why)),
    };
    let names: Vec<String> = pairs.iter().map(|pair| pair.instance_name.clone()).collect();
    let found = chosen(&instances, &names, |_| true).await?;
    for pair in pairs {
        if let Some(snapshot) = pair.snapshot_name {
            return Err(Status::not_found(format!(
                "instance \"{}\" has no snapshot \"{}\"",
                pair.instance_name.escape_debug(),
                snapshot.chars().take(64).collect::<String>().escape_debug()
            )));
        }
    }
    if !request.snapshots {
        reply.details = found.into_iter().map(details).collect();
    }
    Ok(reply)
}

fn details(one: Overview) -> DetailedInfoItem {
    let of_instance = InstanceDetails {
        image_release: images::release(&one.origin).to_owned(),
        id: one.image.to_string(),
        num_snapshots: Some(0),
        creation_timestamp: Some(timestamp(one.created)),
        ..Default::default()
    };
    DetailedInfoItem {
        name: one.name.to_string(),
        instance_status: Some(shown(one.state)),
        memory_total: one.spec.memory.bytes().to_string(),
        disk_total: one.spec.disk.bytes().to_string(),
        cpu_count: one.spec.cpus.to_string(),
        extra_info: Some(ExtraInfo::InstanceInfo(of_instance)),
        ..Default::default()
    }
}

fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    at.into()
}

fn shown(state: InstanceState) -> InstanceStatus {
    let status = match state {
        InstanceState::Running => Shown::Running,
        InstanceState::Starting => Shown::Starting,
        InstanceState::Restarting => Shown::Restarting,
        InstanceState::Stopped => Shown::Stopped,
        InstanceState::Deleted => Shown::Deleted,
        InstanceState::Suspending => Shown::Suspending,
        InstanceState::Suspended => Shown::Suspended,
        InstanceState::DelayedShutdown => Shown::DelayedShutdown,
        InstanceState::Unknown => Shown::Unknown,
    };
    InstanceStatus { status: status.into() }
}
