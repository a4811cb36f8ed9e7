//! QEMU, and the instances that it runs.

use std::path::Path;
use std::sync::Arc;

use driver_qemu::{Choice, QemuDriver};
use durable::private;
use instances::{Driver, DriverError, ImageStore, InstanceId, InstanceName, Instances, Limits, Registry};

use crate::logging::with_causes;
use crate::machines::InstancesUnavailable;

/// The largest image, in bytes.
const MAX_IMAGE: u64 = 64 << 30;

/// Finds the instances in the data directory, their images in the cache, and the machines that an earlier daemon
/// has left running.
pub(crate) async fn open(data: &Path, cache: &Path) -> Result<Instances, InstancesUnavailable> {
    let (root, cache) = (data.join("instances"), cache.to_owned());
    let instances_root = root.clone();
    let opened = tokio::task::spawn_blocking(move || open_files(&instances_root, &cache)).await;
    let (driver, registry, images) = opened.map_err(|error| unusable(&error))??;
    let known: Vec<_> = registry.all().into_iter().map(|(_, record)| record.id).collect();
    let log = |name: &InstanceName, why: &str| tracing::warn!("instance \"{name}\": {why}");
    let running = Arc::clone(&driver) as Arc<dyn Driver>;
    let client = fetch::Client::platform(fetch::Limits::default());
    let instances = Instances::open(registry, images, running, client, Limits::default(), log).await;
    for damaged in instances.damaged() {
        tracing::error!("not an instance, and left as it is: {}: {}", damaged.path.display(), damaged.reason);
    }
    let instances_root = root.clone();
    let orphans = tokio::task::spawn_blocking(move || driver.orphans(&instances_root, &known)).await;
    let orphans = orphans.unwrap_or_default();
    if !orphans.is_empty() {
        tracing::warn!("{}", orphans_message(&root, &orphans));
    }
    Ok(instances)
}

/// Of machines that run, and whose instances are not in the registry any more.
fn orphans_message(root: &Path, orphans: &[(i32, InstanceId)]) -> String {
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

/// What instances are made of.
type Opened = (Arc<QemuDriver>, Arc<Registry>, Arc<ImageStore>);

fn open_files(root: &Path, cache: &Path) -> Result<Opened, InstancesUnavailable> {
    let driver = QemuDriver::new(Choice::Automatic).map_err(|error| match error {
        DriverError::Unavailable(why) => InstancesUnavailable::NoDriver(why.into()),
        error => unusable(&error),
    })?;
    let registry = Registry::open(root).map_err(|error| unusable(&error))?;
    let parent = cache.parent().unwrap_or(Path::new("/"));
    private::create_all(parent).and_then(|()| private::directory(cache)).map_err(|error| {
        InstancesUnavailable::Unusable(format!("cannot use {}: {error}", cache.display()).into())
    })?;
    let images = ImageStore::open(&cache.join("vault"), MAX_IMAGE).map_err(|error| unusable(&error))?;
    Ok((Arc::new(driver), Arc::new(registry), Arc::new(images)))
}

fn unusable(error: &dyn std::error::Error) -> InstancesUnavailable {
    InstancesUnavailable::Unusable(with_causes(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_machines_without_instances_and_how_to_end_them() {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        let orphans = [
            (12, id("01020304-0506-4000-8000-00000a0b0c0d")),
            (345, id("01020304-0506-4000-8000-00000a0b0c0e")),
        ];
        let message = orphans_message(Path::new("/data/instances"), &orphans);
        for part in
            ["gone from /data/instances: ", "0c0d (process 12), ", "0c0e (process 345).", "'kill 12 345'"]
        {
            assert!(message.contains(part), "{message}");
        }
    }
}
