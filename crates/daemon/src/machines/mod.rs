//! The instances of this daemon, as its service has them: they may still be looked for, or there may be nothing
//! here that runs them. What is done to an instance is `instances`' matter, and who may have it done `service`'s.

#[cfg_attr(not(all(unix, feature = "qemu")), path = "no_driver.rs")]
pub(crate) mod driver;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instances::Instances;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::logging::with_causes;

/// How long a call waits for the instances to be found, which is a matter of moments.
const OPENING_DEADLINE: Duration = Duration::from_secs(60);
/// How long commands that are under way may go on when the daemon stops. Machines run on without it, and what is
/// broken off is found in its true state at the next start.
pub(crate) const SETTLING_DEADLINE: Duration = Duration::from_secs(10);

/// How long an image stays that no instance uses.
const UNUSED_IMAGE_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How often such images are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Where instances are had from. Clones are one.
#[derive(Clone, Debug)]
pub struct Machines(watch::Receiver<Option<Result<Instances, InstancesUnavailable>>>);

/// Why there are no instances, for people.
#[derive(Clone, Debug)]
pub enum InstancesUnavailable {
    /// Nothing here runs any: why, and what helps.
    NoDriver(Arc<str>),
    /// They are there, and cannot be used.
    Unusable(Arc<str>),
    /// It takes too long to find them.
    Opening,
}

impl Machines {
    /// Begins to look for the instances in the data directory and their images in the cache: nobody who only
    /// wants to be let in waits for that.
    pub(crate) fn open(data: PathBuf, cache: PathBuf) -> Self {
        let (found, machines) = watch::channel(None);
        tokio::spawn(async move {
            let opened = driver::open(&data, &cache).await;
            match &opened {
                Ok(instances) => {
                    tokio::spawn(prune(instances.clone()));
                }
                Err(InstancesUnavailable::Opening) => {}
                Err(InstancesUnavailable::NoDriver(why)) => {
                    tracing::warn!("there is no driver for instances: {why}")
                }
                Err(InstancesUnavailable::Unusable(why)) => {
                    tracing::error!("instances cannot be used: {why}")
                }
            }
            found.send_replace(Some(opened));
        });
        Self(machines)
    }

    /// Those that are there.
    #[must_use]
    pub fn of(instances: Instances) -> Self {
        Self(watch::channel(Some(Ok(instances))).1)
    }

    /// None, and why.
    #[must_use]
    pub fn none(why: InstancesUnavailable) -> Self {
        Self(watch::channel(Some(Err(why))).1)
    }

    /// The instances, once they are found.
    pub(crate) async fn get(&self) -> Result<Instances, InstancesUnavailable> {
        let mut machines = self.0.clone();
        let found = timeout(OPENING_DEADLINE, machines.wait_for(Option::is_some)).await;
        match found {
            Ok(Ok(found)) => found.clone().unwrap_or(Err(InstancesUnavailable::Opening)),
            Ok(Err(_)) | Err(_) => Err(InstancesUnavailable::Opening),
        }
    }

    /// Lets commands that are under way come to their ends. No new ones may be begun meanwhile.
    pub(crate) async fn settle(&self) {
        let found = self.0.borrow().clone();
        if let Some(Ok(instances)) = found
            && timeout(SETTLING_DEADLINE, instances.settle()).await.is_err()
        {
            tracing::warn!("commands on instances were still under way when the service stopped");
        }
    }
}

/// Removes images that nobody has used for long, once a day.
async fn prune(instances: Instances) {
    loop {
        let unused_since = SystemTime::now().checked_sub(UNUSED_IMAGE_LIFE).unwrap_or(SystemTime::UNIX_EPOCH);
        match instances.prune_images(unused_since).await {
            Ok(pruned) => {
                for image in pruned {
                    tracing::info!("removed the image {image}, which nobody has used for two weeks");
                }
            }
            Err(error) => tracing::warn!("unused images stay: {}", with_causes(&error)),
        }
        tokio::time::sleep(PRUNE_INTERVAL).await;
    }
}
