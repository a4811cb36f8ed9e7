//! Instances: what they are, the states they go through, where they and their images are kept, and what is
//! asked of whoever runs them.
//!
//! What this crate does not know: who may use the service, how they ask, and how a machine is run. The last is
//! behind the [`Driver`] trait.

mod driver;
mod machine;
mod name;
mod sizes;

pub use driver::{Driver, DriverError, Ended, MachineState, Seed, Stop};
pub use machine::{DiskImage, ImageFormat, InstanceId, InstanceSpec, Machine};
pub use name::{InstanceName, NotAnInstanceName};
pub use sizes::{Cpus, CpusError, DiskSize, MemorySize, SizeError};
