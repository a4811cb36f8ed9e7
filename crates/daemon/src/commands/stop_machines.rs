//! `multipassd stop-machines`: ends the machines that a daemon has left running, before the host goes down or the
//! service is removed. Beside a running daemon it does nothing: that one's clients have `multipass stop`.

use std::io;
use std::path::{Path, PathBuf};

use instances::{InstanceState, Instances, Overview};
use thiserror::Error;
use tokio::task::JoinSet;

use crate::data_directory::{self, DataLockError};
use crate::logging::with_causes;
use crate::machines::InstancesUnavailable;
use crate::machines::driver;
use crate::platform::{self, Directories, NoDirectory, ServiceScope};

/// Why machines may run on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StopMachinesError {
    /// No place for the daemon's files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// This user's daemon has no files, and it is not known here where another one has them.
    #[error("cannot look for machines: there is no daemon's data in {0}; {AS_ITS_USER}")]
    NoData(PathBuf),
    /// This user may not look.
    #[error("cannot look for machines in {path}; {AS_ITS_USER}")]
    Unseen {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A daemon runs, or its data cannot be used.
    #[error(transparent)]
    Data(#[from] DataLockError),
    /// The instances cannot be read.
    #[error("the instances in its data directory cannot be used: {0}")]
    Instances(std::sync::Arc<str>),
    /// Some did not end.
    #[error("{count} of the machines run on; 'kill' ends the processes that the log names")]
    Left {
        /// How many.
        count: usize,
    },
    /// There is no runtime.
    #[error("cannot run")]
    Runtime(#[source] io::Error),
}

/// Who finds the machines.
const AS_ITS_USER: &str = "run this as the user who runs multipassd, with the same MULTIPASS_STORAGE: as root or \
                           administrator, for the service of all of this machine's users";

/// Has each guest shut down, or cuts its power where it does not, and says how many there were. *Blocking*, for a
/// minute or two at most.
///
/// # Errors
/// A daemon runs, the instances cannot be read, or some did not end.
pub fn stop_machines() -> Result<String, StopMachinesError> {
    let directories = Directories::find()?;
    if !may_have_instances(&directories.data, platform::service_scope())? {
        return Ok(report(0));
    }
    let _alone = data_directory::lock(&directories.data)?;
    let runtime = tokio::runtime::Runtime::new().map_err(StopMachinesError::Runtime)?;
    let stopped = runtime.block_on(async {
        match driver::open(&directories.data, &directories.cache).await {
            Ok(instances) => stop_all(&instances).await,
            // Without QEMU none was started.
            Err(InstancesUnavailable::NoDriver(_)) => Ok(0),
            Err(InstancesUnavailable::Unusable(why)) => Err(StopMachinesError::Instances(why)),
            Err(InstancesUnavailable::Opening) => {
                Err(StopMachinesError::Instances("they were not found".into()))
            }
        }
    });
    Ok(report(stopped?))
}

/// Whether the daemon with its files in `data` may have instances. That an ordinary user has no daemon says nothing of
/// the machine's.
fn may_have_instances(data: &Path, scope: ServiceScope) -> Result<bool, StopMachinesError> {
    let is_there = |path: PathBuf| match path.try_exists() {
        Ok(is_there) => Ok(is_there),
        Err(source) => Err(StopMachinesError::Unseen { path, source }),
    };
    match is_there(data.join("instances"))? {
        false if scope == ServiceScope::User && !is_there(data.to_owned())? => {
            Err(StopMachinesError::NoData(data.to_owned()))
        }
        may_have => Ok(may_have),
    }
}

fn report(stopped: usize) -> String {
    format!("Machines that were stopped: {stopped}.")
}

/// All at once: each guest takes its own time.
async fn stop_all(instances: &Instances) -> Result<usize, StopMachinesError> {
    let mut stops = JoinSet::new();
    for Overview { name, state, .. } in instances.list().await {
        if matches!(state, InstanceState::Stopped | InstanceState::Suspended | InstanceState::Deleted) {
            continue;
        }
        let instances = instances.clone();
        stops.spawn(async move {
            let Err(unwilling) = instances.stop(&name).await else { return Ok(()) };
            tracing::warn!("instance \"{name}\" is cut off: {}", with_causes(&unwilling));
            let cut = instances.force_stop(&name).await;
            cut.inspect_err(|error| tracing::error!("instance \"{name}\": {}", with_causes(error)))
        });
    }
    let mut ended = Vec::new();
    while let Some(one) = stops.join_next().await {
        ended.push(matches!(one, Ok(Ok(()))));
    }
    let count = ended.iter().filter(|&&ended| !ended).count();
    if count == 0 { Ok(ended.len()) } else { Err(StopMachinesError::Left { count }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_without_a_daemon_is_not_told_that_nothing_runs() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        assert!(!may_have_instances(&data, ServiceScope::System).unwrap());
        let none = may_have_instances(&data, ServiceScope::User).unwrap_err();
        assert!(
            matches!(none, StopMachinesError::NoData(_)) && none.to_string().contains("as root"),
            "{none}"
        );
        std::fs::create_dir(&data).unwrap();
        assert!(!may_have_instances(&data, ServiceScope::User).unwrap());
        std::fs::create_dir(data.join("instances")).unwrap();
        assert!(may_have_instances(&data, ServiceScope::User).unwrap());
        // What cannot be looked at, for whatever reason.
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let unseen = may_have_instances(&file, ServiceScope::System);
        if cfg!(unix) {
            assert!(matches!(unseen, Err(StopMachinesError::Unseen { .. })), "{unseen:?}");
        }
    }
}
