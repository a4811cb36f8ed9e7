//! `launch`, and `create`, which is the same call by an older name.

mod source;

use std::sync::Arc;
use std::time::SystemTime;

use auth_core::Authenticated;
use instances::{Cpus, InstanceError, InstanceName, Launch, MemorySize, Progress, ProgressReport, UserData};
use prost::Message;
use rpc::launch_error::ErrorCodes;
use rpc::launch_progress::ProgressType;
use rpc::launch_reply::CreateOneof;
use rpc::{LaunchError, LaunchProgress, LaunchReply, LaunchRequest};
use tonic::{Code, Status};

use super::{Service, failure, power};
use crate::service::grpc::ReplySender;
use source::source;

/// Makes an instance and tells how far it is. When the caller goes, the launch is given up, and nothing is left.
pub(in crate::service) async fn launch(
    service: &Service,
    by: &Authenticated,
    request: LaunchRequest,
    replies: ReplySender<LaunchReply>,
) -> Result<(), Status> {
    // At once: a list of them takes much memory, and is not kept while instances are waited for.
    refuse_unsupported(&request)?;
    let instances = service.instances().await?;
    let launch = specification(service, by, request).await?;
    let replies = Arc::new(replies);
    let reported = Arc::clone(&replies);
    let report: ProgressReport = Arc::new(move |progress| reported.offer(reply(progress_reply(progress))));
    let launched = instances.launch(launch, SystemTime::now(), report).await.map_err(|error| {
        let status = failure::status(&error);
        match error {
            InstanceError::DiskTooSmall { .. } => refused(ErrorCodes::InvalidDiskSize, status.message()),
            _ => status,
        }
    })?;
    replies.send(reply(CreateOneof::VmInstanceName(launched.to_string()))).await;
    Ok(())
}

/// Refuses what there is not.
fn refuse_unsupported(request: &LaunchRequest) -> Result<(), Status> {
    if !request.network_options.is_empty() {
        let why = "Instances cannot be connected to other networks here: leave out --network and --bridged.";
        return Err(refused(ErrorCodes::InvalidNetwork, why));
    }
    if !request.zone.is_empty() {
        return Err(refused(ErrorCodes::ZoneUnavailable, "There are no zones here: leave out --zone."));
    }
    Ok(())
}

/// What is asked for. All that can be wrong with it is found before the image is looked at.
async fn specification(
    service: &Service,
    by: &Authenticated,
    request: LaunchRequest,
) -> Result<Launch, Status> {
    let name = match request.instance_name.as_str() {
        "" => None,
        name => Some(name.parse::<InstanceName>().map_err(|e| refused(ErrorCodes::InvalidHostname, e))?),
    };
    let cpus = match request.num_cores {
        0 => Cpus::DEFAULT,
        count => count.to_string().parse::<Cpus>().map_err(|e| Status::invalid_argument(e.to_string()))?,
    };
    let memory = match request.mem_size.as_str() {
        "" => MemorySize::DEFAULT,
        size => size.parse().map_err(|e| refused(ErrorCodes::InvalidMemSize, e))?,
    };
    let disk = match request.disk_space.as_str() {
        "" => None,
        size => Some(size.parse().map_err(|e| refused(ErrorCodes::InvalidDiskSize, e))?),
    };
    let user_data = UserData::new(&request.cloud_init_user_data).map_err(|error| {
        Status::invalid_argument(format!("The cloud-init configuration cannot be used: {error}."))
    })?;
    let (source, expected) = source(service, by, &request.image, &request.remote_name).await?;
    let timeout = power::timeout_of(request.timeout);
    Ok(Launch { name, cpus, memory, disk, source, expected, user_data, timeout })
}

/// As the contract has it: what is wrong, in the status' details.
fn refused(code: ErrorCodes, why: impl std::fmt::Display) -> Status {
    let details = LaunchError { error_codes: vec![code.into()] }.encode_to_vec();
    Status::with_details(Code::InvalidArgument, why.to_string(), details.into())
}

fn progress_reply(progress: Progress) -> CreateOneof {
    match progress {
        Progress::Image { done, total: Some(total) } if total > 0 => {
            let percent = u128::from(done) * 100 / u128::from(total);
            CreateOneof::LaunchProgress(LaunchProgress {
                r#type: ProgressType::Image.into(),
                percent_complete: percent.to_string(),
            })
        }
        Progress::Image { done, .. } => {
            CreateOneof::CreateMessage(format!("Retrieving image: {} MiB", done >> 20))
        }
        Progress::Creating(name) => CreateOneof::CreateMessage(format!("Creating {name}")),
        Progress::Starting(name) => CreateOneof::CreateMessage(format!("Starting {name}")),
        Progress::Waiting(_) => {
            CreateOneof::CreateMessage("Waiting for initialization to complete".to_owned())
        }
    }
}

fn reply(what: CreateOneof) -> LaunchReply {
    LaunchReply { create_oneof: Some(what), ..Default::default() }
}
