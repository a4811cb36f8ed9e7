//! `list` and `info`: what is known of instances, and for `info` what their guests tell of themselves.

use std::collections::HashMap;
use std::time::SystemTime;

use auth_core::Authenticated;
use instances::{InstanceState, Overview};
use rpc::detailed_info_item::ExtraInfo;
use rpc::instance_status::Status as StatusCode;
use rpc::list_reply::ListContents;
use rpc::{
    DetailedInfoItem, InfoReply, InfoRequest, InstanceDetails, InstanceStatus, InstancesList, ListReply,
    ListRequest, ListVmInstance, SnapshotsList,
};
use tonic::Status;

use super::guest::{self, Facts, Usage};
use super::{Service, check_name_count, images, select};
use crate::machines::InstancesUnavailable;
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
        Err(why @ InstancesUnavailable::NoDriver(_)) => {
            reply.log_line = format!("{}\n", status::instances_unavailable(&why).message());
            Vec::new()
        }
        Err(why) => return Err(status::instances_unavailable(&why)),
    };
    let instances = all
        .into_iter()
        .map(|one| ListVmInstance {
            name: one.name.to_string(),
            instance_status: Some(instance_status(one.state)),
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
    check_name_count(pairs.len())?;
    let mut reply = InfoReply { snapshots: request.snapshots, ..Default::default() };
    let instances = match service.machines.get().await {
        Ok(instances) => instances,
        Err(why @ InstancesUnavailable::NoDriver(_)) => {
            if !pairs.is_empty() {
                return Err(status::instances_unavailable(&why));
            }
            reply.log_line = format!("{}\n", status::instances_unavailable(&why).message());
            return Ok(reply);
        }
        Err(why) => return Err(status::instances_unavailable(&why)),
    };
    let names: Vec<String> = pairs.iter().map(|pair| pair.instance_name.clone()).collect();
    let found = select(&instances, &names, |_| true).await?;
    for pair in pairs {
        if let Some(snapshot) = pair.snapshot_name {
            return Err(Status::not_found(format!(
                "instance \"{}\" has no snapshot \"{}\"",
                status::excerpt(&pair.instance_name),
                status::excerpt(&snapshot)
            )));
        }
    }
    if request.snapshots {
        return Ok(reply);
    }
    let mut facts = match request.no_runtime_information {
        true => HashMap::new(),
        false => guest::query(&service.guest_queries, &instances, &found).await,
    };
    let details = found.into_iter().map(|one| {
        let of_guest = facts.remove(&one.name).unwrap_or_default();
        details(one, of_guest)
    });
    reply.details = details.collect();
    Ok(reply)
}

/// The totals are as the guest sees them, if it says so: without what its kernel and file system take.
fn details(one: Overview, facts: Facts) -> DetailedInfoItem {
    let used = |usage: Option<Usage>| usage.map(|usage| usage.used.to_string()).unwrap_or_default();
    let total = |usage: Option<Usage>, given: u64| usage.map_or(given, |usage| usage.total).to_string();
    let of_instance = InstanceDetails {
        image_release: images::release(&one.origin).to_owned(),
        current_release: facts.system,
        id: one.image.to_string(),
        load: facts.load,
        memory_usage: used(facts.memory),
        disk_usage: used(facts.disk),
        ipv4: facts.addresses.iter().map(ToString::to_string).collect(),
        num_snapshots: Some(0),
        creation_timestamp: Some(timestamp(one.created)),
        ..Default::default()
    };
    DetailedInfoItem {
        name: one.name.to_string(),
        instance_status: Some(instance_status(one.state)),
        memory_total: total(facts.memory, one.spec.memory.bytes()),
        disk_total: total(facts.disk, one.spec.disk.bytes()),
        cpu_count: one.spec.cpus.to_string(),
        extra_info: Some(ExtraInfo::InstanceInfo(of_instance)),
        ..Default::default()
    }
}

fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    at.into()
}

fn instance_status(state: InstanceState) -> InstanceStatus {
    let status = match state {
        InstanceState::Running => StatusCode::Running,
        InstanceState::Starting => StatusCode::Starting,
        InstanceState::Restarting => StatusCode::Restarting,
        InstanceState::Stopped => StatusCode::Stopped,
        InstanceState::Deleted => StatusCode::Deleted,
        InstanceState::Suspending => StatusCode::Suspending,
        InstanceState::Suspended => StatusCode::Suspended,
        InstanceState::DelayedShutdown => StatusCode::DelayedShutdown,
        InstanceState::Unknown => StatusCode::Unknown,
    };
    InstanceStatus { status: status.into() }
}
