//! QEMU, and the instances that it runs.

use std::path::Path;
use std::sync::Arc;

use driver_qemu::{Choice, QemuDriver};
use durable::private;
use instances::{Driver, DriverError, InstanceName, Instances, Limits, Registry, Vault};

use crate::logging::with_causes;
use crate::machines::NoInstances;

/// The largest image, in bytes.
const LARGEST_IMAGE: u64 = 64 << 30;

/// Finds the instances in the data directory, their images in the cache, and the machines that an earlier daemon
/// has left running.
pub(crate) async fn open(data: &Path, cache: &Path) -> Result<Instances, NoInstances> {
    let (root, cache) = (data.join("instances"), cache.to_owned());
    let looked = tokio::task::spawn_blocking(move || look(&root, &cache)).await;
    let (driver, registry, vault) = looked.map_err(|error| broken(&error))??;
    let known: Vec<_> = registry.all().into_iter().map(|(_, record)| record.id).collect();
    let told = |name: &InstanceName, why: &str| tracing::warn!("instance \"{name}\": {why}");
    let running = Arc::clone(&driver) as Arc<dyn Driver>;
    let client = fetch::Client::platform(fetch::Limits::default());
    let instances = Instances::open(registry, vault, running, client, Limits::default(), told).await;
    for damaged in instances.damaged() {
        tracing::error!("not an instance, and left as it is: {}: {}", damaged.path.display(), damaged.reason);
    }
    let orphans = tokio::task::spawn_blocking(move || driver.orphans(&known)).await.unwrap_or_default();
    for (process, id) in orphans {
        tracing::warn!(
            "process {process} runs a machine, {id}, of which no instance is known; if it is of no use, 'kill \
             {process}' ends it"
        );
    }
    Ok(instances)
}

type Found = (Arc<QemuDriver>, Arc<Registry>, Arc<Vault>);

fn look(root: &Path, cache: &Path) -> Result<Found, NoInstances> {
    let driver = QemuDriver::new(Choice::Automatic).map_err(|error| match error {
        DriverError::Unavailable(why) => NoInstances::NoDriver(why.into()),
        error => broken(&error),
    })?;
    let registry = Registry::open(root).map_err(|error| broken(&error))?;
    let parent = cache.parent().unwrap_or(Path::new("/"));
    private::create_all(parent)
        .and_then(|()| private::directory(cache))
        .map_err(|error| NoInstances::Broken(format!("cannot use {}: {error}", cache.display()).into()))?;
    let vault = Vault::open(&cache.join("vault"), LARGEST_IMAGE).map_err(|error| broken(&error))?;
    Ok((Arc::new(driver), Arc::new(registry), Arc::new(vault)))
}

fn broken(error: &dyn std::error::Error) -> NoInstances {
    NoInstances::Broken(with_causes(error).into())
}
