//! `list` and `info`: what is known of instances, and for `info` what their guests tell of themselves.

use std::collections::HashMap;
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

use super::guest::{self, Facts, Usage};
use super::{Service, chosen, few_enough, images};
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
    few_enough(pairs.len())?;
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
    let found = chosen(&instances, &names, |_| true).await?;
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
    let mut told = match request.no_runtime_information {
        true => HashMap::new(),
        false => guest::query(&service.guest_queries, &instances, &found).await,
    };
    let details = found.into_iter().map(|one| {
        let facts = told.remove(&one.name).unwrap_or_default();
        details(one, facts)
    });
    reply.details = details.collect();
    Ok(reply)
}

/// The totals are as the guest sees them, if it says so: without what its kernel and file system take.
fn details(one: Overview, told: Facts) -> DetailedInfoItem {
    let used = |usage: Option<Usage>| usage.map(|usage| usage.used.to_string()).unwrap_or_default();
    let total = |usage: Option<Usage>, given: u64| usage.map_or(given, |usage| usage.total).to_string();
    let of_instance = InstanceDetails {
        image_release: images::release(&one.origin).to_owned(),
        current_release: told.system,
        id: one.image.to_string(),
        load: told.load,
        memory_usage: used(told.memory),
        disk_usage: used(told.disk),
        ipv4: told.addresses.iter().map(ToString::to_string).collect(),
        num_snapshots: Some(0),
        creation_timestamp: Some(timestamp(one.created)),
        ..Default::default()
    };
    DetailedInfoItem {
        name: one.name.to_string(),
        instance_status: Some(shown(one.state)),
        memory_total: total(told.memory, one.spec.memory.bytes()),
        disk_total: total(told.disk, one.spec.disk.bytes()),
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
