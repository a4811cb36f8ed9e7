//! The calls about instances: what is asked is read, the domain does it, and what it says is put into the
//! contract's words and codes. No rule about instances is here.

mod deletion;
mod failure;
mod guest;
mod images;
mod launch;
mod listing;
mod power;
mod settings;
mod ssh;
mod tunnel;

use std::collections::BTreeSet;
use std::future::Future;

use instances::{InstanceError, InstanceName, InstanceState, Instances, Overview, SshAccess};
use tokio::task::JoinSet;
use tonic::Status;

pub(super) use deletion::{delete, purge, recover};
pub(super) use guest::MAX_QUERIES as MAX_GUEST_QUERIES;
pub(super) use images::{find, networks};
pub(super) use launch::launch;
pub(super) use listing::{info, list};
pub(super) use power::{restart, start, stop, suspend};
pub(super) use settings::InstanceSetting;
pub(super) use ssh::ssh_info;
pub(super) use tunnel::tunnel;

use super::{Service, status};
use failure::no_such_instance;

/// Instances that one request may name.
const MAX_NAMES: usize = 1000;

impl Service {
    /// The instances, once they are found.
    pub(super) async fn instances(&self) -> Result<Instances, Status> {
        self.machines.get().await.map_err(|why| status::instances_unavailable(&why))
    }
}

/// Whether one request names that many instances. Asked before anything is waited for: names take much more room here
/// than on their way.
fn check_name_count(names: usize) -> Result<(), Status> {
    match names {
        0..=MAX_NAMES => Ok(()),
        _ => Err(Status::invalid_argument(format!(
            "The request names {names} instances, and may name {MAX_NAMES}. Name some of them at a time."
        ))),
    }
}

/// The instances of those names; without names, all that `without_names` takes. If one does not exist, nothing is
/// to be done to the others.
async fn select(
    instances: &Instances,
    names: &[String],
    without_names: impl Fn(&Overview) -> bool,
) -> Result<Vec<Overview>, Status> {
    let mut all = instances.list().await;
    if names.is_empty() {
        all.retain(without_names);
        return Ok(all);
    }
    let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let is_there = |name: &&&str| all.iter().any(|one| one.name.as_str() == **name);
    let missing: Vec<Status> =
        wanted.iter().filter(|name| !is_there(name)).map(|name| no_such_instance(name)).collect();
    failure::combine(&missing)?;
    all.retain(|one| wanted.contains(one.name.as_str()));
    Ok(all)
}

/// The key that opens a guest, as the text that it is.
fn key_text(name: &InstanceName, access: &SshAccess) -> Result<String, Status> {
    String::from_utf8(access.client_key.to_vec()).map_err(|_| {
        tracing::error!("the key of instance \"{name}\" is not text");
        status::internal()
    })
}

fn is_not_deleted(overview: &Overview) -> bool {
    overview.state != InstanceState::Deleted
}

/// Does the same to several instances at once. Returns those that it failed for, in the order of their names.
async fn for_each<Work>(
    selected: Vec<Overview>,
    work: impl Fn(InstanceName) -> Work,
) -> Vec<(InstanceName, InstanceError)>
where
    Work: Future<Output = Result<(), InstanceError>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for Overview { name, .. } in selected {
        let work = work(name.clone());
        tasks.spawn(async move { (name, work.await) });
    }
    let mut failed = Vec::new();
    for (name, done) in tasks.join_all().await {
        failed.extend(done.err().map(|error| (name, error)));
    }
    failed.sort_by(|(one, _), (other, _)| one.cmp(other));
    failed
}

/// Nothing, or one status of all that failed.
fn outcome(failed: &[(InstanceName, InstanceError)]) -> Result<(), Status> {
    failure::combine(&failed.iter().map(|(_, error)| failure::status(error)).collect::<Vec<_>>())
}
