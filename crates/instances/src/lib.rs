//! Instances: what they are, the states they go through, where they and their images are kept, and what is
//! asked of whoever runs them.
//!
//! What this crate does not know: who may use the service, how they ask, and how a machine is run. The last is
//! behind the [`Driver`] trait.

mod driver;
mod images;
mod machine;
mod name;
mod registry;
mod sizes;
mod state;

pub use driver::{Driver, DriverError, Ended, MachineState, Seed, Stop};
pub use images::{Digest, Image, NotADigest, NotAnImage, Progress, Vault, VaultError};
pub use machine::{DiskImage, ImageFormat, InstanceId, InstanceSpec, Machine};
pub use name::{InstanceName, NotAnInstanceName};
pub use registry::{Damaged, Record, Registry, RegistryError, Staging};
pub use sizes::{Cpus, CpusError, DiskSize, MemorySize, SizeError};
pub use state::{Command, InstanceState, Refused};
