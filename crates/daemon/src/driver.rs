//! QEMU, and the instances that it runs.

use std::path::Path;
use std::sync::Arc;

use driver_qemu::{Choice, QemuDriver};
use durable::private;
use instances::{Driver, DriverError, ImageStore, InstanceId, InstanceName, Instances, Limits, Registry};

use crate::logging::with_causes;
use crate::machines::NoInstances;

/// The largest image, in bytes.
const LARGEST_IMAGE: u64 = 64 << 30;

/// Finds the instances in the data directory, their images in the cache, and the machines that an earlier daemon
/// has left running.
pub(crate) async fn open(data: &Path, cache: &Path) -> Result<Instances, NoInstances> {
    let (root, cache) = (data.join("instances"), cache.to_owned());
    let looking = root.clone();
    let looked = tokio::task::spawn_blocking(move || look(&looking, &cache)).await;
    let (driver, registry, images) = looked.map_err(|error| broken(&error))??;
    let known: Vec<_> = registry.all().into_iter().map(|(_, record)| record.id).collect();
    let told = |name: &InstanceName, why: &str| tracing::warn!("instance \"{name}\": {why}");
    let running = Arc::clone(&driver) as Arc<dyn Driver>;
    let client = fetch::Client::platform(fetch::Limits::default());
    let instances = Instances::open(registry, images, running, client, Limits::default(), told).await;
    for damaged in instances.damaged() {
        tracing::error!("not an instance, and left as it is: {}: {}", damaged.path.display(), damaged.reason);
    }
    let looking = root.clone();
    let orphans = tokio::task::spawn_blocking(move || driver.orphans(&looking, &known)).await;
    let orphans = orphans.unwrap_or_default();
    if !orphans.is_empty() {
        tracing::warn!("{}", left_over(&root, &orphans));
    }
    Ok(instances)
}

/// Of machines that run, and whose instances are not in the registry any more.
fn left_over(root: &Path, orphans: &[(i32, InstanceId)]) -> String {
    let of = |one: &(i32, InstanceId)| format!("{} (process {})", one.1, one.0);
    let machines: Vec<String> = orphans.iter().map(of).collect();
    let processes: Vec<String> = orphans.iter().map(|(process, _)| process.to_string()).collect();
    format!(
        "machines run whose instances are gone from {}: {}. Where these were removed or restored while the machines \
         ran, the machines' disks are lost with them, and 'kill {}' ends them",
        root.display(),
        machines.join(", "),
        processes.join(" ")
    )
}

type Found = (Arc<QemuDriver>, Arc<Registry>, Arc<ImageStore>);

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
    let images = ImageStore::open(&cache.join("vault"), LARGEST_IMAGE).map_err(|error| broken(&error))?;
    Ok((Arc::new(driver), Arc::new(registry), Arc::new(images)))
}

fn broken(error: &dyn std::error::Error) -> NoInstances {
    NoInstances::Broken(with_causes(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_without_instances_are_told_of_at_once() {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        let orphans = [
            (12, id("01020304-0506-4000-8000-00000a0b0c0d")),
            (345, id("01020304-0506-4000-8000-00000a0b0c0e")),
        ];
        let told = left_over(Path::new("/data/instances"), &orphans);
        for part in
            ["gone from /data/instances: ", "0c0d (process 12), ", "0c0e (process 345).", "'kill 12 345'"]
        {
            assert!(told.contains(part), "{told}");
        }
    }
}
