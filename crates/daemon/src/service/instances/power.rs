//! `start`, `stop`, `restart` and `suspend`.

use std::time::Duration;

use auth_core::Authenticated;
use instances::{InstanceError, InstanceName};
use prost::Message;
use rpc::start_error::ErrorCode;
use rpc::{
    InstanceNames, RestartReply, RestartRequest, StartError, StartReply, StartRequest, StopReply,
    StopRequest, SuspendReply, SuspendRequest,
};
use tonic::{Code, Status};

use super::{Service, check_name_count, failure, for_each, is_not_deleted, outcome, select};
use crate::service::grpc::ReplySender;

pub(in crate::service) async fn start(
    service: &Service,
    _by: &Authenticated,
    request: StartRequest,
    replies: ReplySender<StartReply>,
) -> Result<(), Status> {
    let names = names(request.instance_names)?;
    let instances = service.instances().await?;
    let selected = select(&instances, &names, is_not_deleted).await.map_err(|status| {
        let missing = names.iter().map(|name| (name.clone(), ErrorCode::DoesNotExist));
        not_started(&status, missing.filter(|(name, _)| status.message().contains(&format!("\"{name}\""))))
    })?;
    let message = announcement("Starting", selected.iter().map(|one| &one.name));
    replies.offer(StartReply { reply_message: message, ..Default::default() });
    let timeout = timeout_of(request.timeout);
    let failed = for_each(selected, |name| {
        let instances = instances.clone();
        async move { instances.start(&name, timeout).await }
    });
    let failed = failed.await;
    outcome(&failed).map_err(|status| {
        not_started(&status, failed.iter().map(|(name, error)| (name.to_string(), start_error(error))))
    })
}

/// As the contract has it: why each has not started, in the status' details.
fn not_started(status: &Status, errors: impl Iterator<Item = (String, ErrorCode)>) -> Status {
    let instance_errors = errors.take(failure::MAX_LISTED).map(|(name, code)| (name, code.into())).collect();
    let details = StartError { instance_errors }.encode_to_vec();
    Status::with_details(Code::Aborted, status.message(), details.into())
}

fn start_error(error: &InstanceError) -> ErrorCode {
    match error {
        InstanceError::Refused(refused) if refused.is_deleted() => ErrorCode::InstanceDeleted,
        error if error.is_missing() => ErrorCode::DoesNotExist,
        _ => ErrorCode::Other,
    }
}

pub(in crate::service) async fn restart(
    service: &Service,
    _by: &Authenticated,
    request: RestartRequest,
    replies: ReplySender<RestartReply>,
) -> Result<(), Status> {
    let names = names(request.instance_names)?;
    let instances = service.instances().await?;
    let selected = select(&instances, &names, is_not_deleted).await?;
    let message = announcement("Restarting", selected.iter().map(|one| &one.name));
    replies.offer(RestartReply { reply_message: message, ..Default::default() });
    let timeout = timeout_of(request.timeout);
    let failed = for_each(selected, |name| {
        let instances = instances.clone();
        async move { instances.restart(&name, timeout).await }
    });
    outcome(&failed.await)
}

pub(in crate::service) async fn stop(
    service: &Service,
    _by: &Authenticated,
    request: StopRequest,
) -> Result<StopReply, Status> {
    let names = names(request.instance_names)?;
    let instances = service.instances().await?;
    let after = match u64::try_from(request.time_minutes) {
        Ok(minutes) => Duration::from_secs(minutes.saturating_mul(60)),
        Err(_) => return Err(Status::invalid_argument("A shutdown cannot be in the past.")),
    };
    if request.force_stop && (request.cancel_shutdown || !after.is_zero()) {
        return Err(Status::invalid_argument(
            "What is stopped by force is stopped at once: leave out the time.",
        ));
    }
    let selected = select(&instances, &names, is_not_deleted).await?;
    let (cancel, force) = (request.cancel_shutdown, request.force_stop);
    let failed = for_each(selected, |name| {
        let instances = instances.clone();
        async move {
            match (cancel, force) {
                (true, _) => instances.cancel_stop(&name).await,
                (_, true) => instances.force_stop(&name).await,
                _ if after.is_zero() => instances.stop(&name).await,
                _ => instances.stop_later(&name, after).await,
            }
        }
    });
    outcome(&failed.await).map(|()| StopReply::default())
}

pub(in crate::service) async fn suspend(
    service: &Service,
    _by: &Authenticated,
    request: SuspendRequest,
) -> Result<SuspendReply, Status> {
    let names = names(request.instance_names)?;
    let instances = service.instances().await?;
    let selected = select(&instances, &names, is_not_deleted).await?;
    let failed = for_each(selected, |name| {
        let instances = instances.clone();
        async move { instances.suspend(&name).await }
    });
    outcome(&failed.await).map(|()| SuspendReply::default())
}

pub(super) fn names(given: Option<InstanceNames>) -> Result<Vec<String>, Status> {
    let names = given.map(|names| names.instance_name).unwrap_or_default();
    check_name_count(names.len())?;
    Ok(names)
}

/// So long a guest is waited for, if its caller says so.
pub(super) fn timeout_of(seconds: i32) -> Option<Duration> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn announcement<'a>(what: &str, names: impl Iterator<Item = &'a InstanceName>) -> String {
    let names: Vec<&str> = names.map(InstanceName::as_str).collect();
    format!("{what} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers carry the details, too, in base64.
    #[test]
    fn of_many_that_have_not_started_some_are_in_the_details() {
        for (failed, told) in [(1, 1), (16, 16), (17, 16), (1000, 16)] {
            let errors = (0..failed).map(|number| (format!("n{number}"), ErrorCode::Other));
            let status = not_started(&Status::aborted("why"), errors);
            let details = StartError::decode(status.details()).unwrap();
            assert_eq!((details.instance_errors.len(), status.message()), (told, "why"), "{failed}");
        }
    }
}
