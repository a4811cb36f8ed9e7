//! The settings of instances: `local.<instance>.cpus`, `.disk` and `.memory`.

use instances::{InstanceName, InstanceSpec, Instances, SpecChange};
use tonic::Status;

use super::{Service, failure, is_not_deleted};

/// How much of the host an instance gets.
pub(in crate::service) struct Setting {
    name: InstanceName,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Cpus,
    Disk,
    Memory,
}

impl Setting {
    /// The setting of that key, if it is one of an instance.
    pub(in crate::service) fn of(key: &str) -> Option<Self> {
        let (name, what) = key.strip_prefix("local.")?.split_once('.')?;
        let what = match what {
            "cpus" => What::Cpus,
            "disk" => What::Disk,
            "memory" => What::Memory,
            _ => return None,
        };
        Some(Self { name: name.parse().ok()?, what })
    }

    /// Its value.
    pub(in crate::service) async fn get(&self, service: &Service) -> Result<String, Status> {
        let spec = self.spec(&service.instances().await?).await?;
        Ok(match self.what {
            What::Cpus => spec.cpus.to_string(),
            What::Disk => spec.disk.to_string(),
            What::Memory => spec.memory.to_string(),
        })
    }

    async fn spec(&self, instances: &Instances) -> Result<InstanceSpec, Status> {
        let found = instances.info(&self.name).await.map_err(|error| failure::status(&error))?;
        Ok(found.spec)
    }

    /// Changes it, from the instance's next start on.
    pub(in crate::service) async fn set(&self, service: &Service, value: &str) -> Result<(), Status> {
        let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
        let change = match self.what {
            What::Cpus => SpecChange::Cpus(value.parse().map_err(|error| invalid(&error))?),
            What::Disk => SpecChange::Disk(value.parse().map_err(|error| invalid(&error))?),
            What::Memory => SpecChange::Memory(value.parse().map_err(|error| invalid(&error))?),
        };
        let instances = service.instances().await?;
        instances.set(&self.name, change).await.map_err(|error| failure::status(&error))
    }

    /// The keys of all instances that are not in the bin.
    pub(in crate::service) async fn keys(instances: &Instances) -> Vec<String> {
        let all = instances.list().await;
        let keys = all
            .iter()
            .filter(|one| is_not_deleted(one))
            .flat_map(|one| ["cpus", "disk", "memory"].map(|what| format!("local.{}.{what}", one.name)));
        keys.collect()
    }
}
