//! Instances: what they are, the states they go through, where they and their images are kept, and what is
//! asked of whoever runs them.
//!
//! What this crate does not know: who may use the service, how they ask, and how a machine is run. The last is
//! behind the [`Driver`] trait.

mod cloud_init;
mod driver;
mod friendly;
mod images;
mod machine;
mod name;
mod registry;
mod service;
mod sizes;
mod ssh_keys;
mod state;

#[cfg(feature = "testkit")]
pub mod testkit;

pub use cloud_init::{UserData, UserDataError};
pub use driver::{Driver, DriverError, Ended, MachineState, Seed, Stop};
pub use images::{Digest, Image, ImageStore, ImageStoreError, NotADigest, NotAnImage};
pub use machine::{DiskImage, ImageFormat, InstanceId, InstanceSpec, Machine};
pub use name::{InstanceName, NotAnInstanceName};
pub use registry::{DamagedInstance, Record, Registry, RegistryError, Staging};
pub use service::{
    ImageSource, InstanceError, Instances, Launch, Limits, Overview, Progress, ProgressReport, PurgeOutcome,
    SpecChange, SshAccess,
};
pub use sizes::{Cpus, CpusError, DiskSize, MemorySize, SizeError};
pub use ssh_keys::KeyError;
pub use state::{Command, InstanceState, RefusedCommand};
