//! The settings of instances: `local.<instance>.cpus`, `.disk` and `.memory`.

use instances::{InstanceName, InstanceSpec, Instances, SpecChange};
use tonic::Status;

use super::{Service, failure, is_not_deleted};

/// How much of the host an instance gets.
pub(in crate::service) struct InstanceSetting {
    name: InstanceName,
    property: Property,
}

#[derive(Clone, Copy)]
enum Property {
    Cpus,
    Disk,
    Memory,
}

impl InstanceSetting {
    /// The setting of that key, if it is one of an instance.
    pub(in crate::service) fn of(key: &str) -> Option<Self> {
        let (name, property) = key.strip_prefix("local.")?.split_once('.')?;
        let property = match property {
            "cpus" => Property::Cpus,
            "disk" => Property::Disk,
            "memory" => Property::Memory,
            _ => return None,
        };
        Some(Self { name: name.parse().ok()?, property })
    }

    /// Its value.
    pub(in crate::service) async fn get(&self, service: &Service) -> Result<String, Status> {
        let spec = self.spec(&service.instances().await?).await?;
        Ok(match self.property {
            Property::Cpus => spec.cpus.to_string(),
            Property::Disk => spec.disk.to_string(),
            Property::Memory => spec.memory.to_string(),
        })
    }

    async fn spec(&self, instances: &Instances) -> Result<InstanceSpec, Status> {
        let found = instances.info(&self.name).await.map_err(|error| failure::status(&error))?;
        Ok(found.spec)
    }

    /// Changes it, from the instance's next start on.
    pub(in crate::service) async fn set(&self, service: &Service, value: &str) -> Result<(), Status> {
        let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
        let change = match self.property {
            Property::Cpus => SpecChange::Cpus(value.parse().map_err(|error| invalid(&error))?),
            Property::Disk => SpecChange::Disk(value.parse().map_err(|error| invalid(&error))?),
            Property::Memory => SpecChange::Memory(value.parse().map_err(|error| invalid(&error))?),
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
