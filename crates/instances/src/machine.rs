//! What a driver is given to run: an instance's machine.

use std::fmt;
use std::path::PathBuf;

use uuid::Uuid;

use crate::{Cpus, DiskSize, InstanceName, MemorySize};

/// Which instance: unlike a name, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Uuid);

/// How much of the host an instance gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Processors.
    pub cpus: Cpus,
    /// Memory.
    pub memory: MemorySize,
    /// The disk as the guest sees it.
    pub disk: DiskSize,
}

/// An instance, as a driver runs it. What changes between two calls are the directory, which is renamed once,
/// and the specification, while the machine is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Which instance.
    pub id: InstanceId,
    /// Its name, for people: in lists of processes, in messages.
    pub name: InstanceName,
    /// A directory for the driver's own files: disk, seed, sockets, logs. It exists, belongs to the daemon's
    /// user, is closed to others, and was empty before [`Driver::prepare`](crate::Driver::prepare). **It is
    /// renamed after that call**: nothing in it may name it by its absolute path.
    pub directory: PathBuf,
    /// How much of the host it gets.
    pub spec: InstanceSpec,
    /// What its disk is made of, and stays based on.
    pub image: DiskImage,
}

/// An image in the store: it is never written to, and stays as long as an instance uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskImage {
    /// Where it is: an absolute path, which does not change.
    pub path: PathBuf,
    /// What it is. Never guessed from the bytes by whoever opens it.
    pub format: ImageFormat,
}

/// How an image holds a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// QEMU's format; checked to name no other file.
    Qcow2,
    /// The disk's bytes.
    Raw,
}

impl InstanceId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// One of those drawn, whose beginning none of those taken has: three bytes, of which drivers make numbers.
    pub(crate) fn unlike(taken: &[Self], mut draw: impl FnMut() -> Self) -> Self {
        loop {
            let id = draw();
            if taken.iter().all(|taken| taken.as_bytes()[..3] != id.as_bytes()[..3]) {
                return id;
            }
        }
    }

    /// As bytes, for what is derived from it: a MAC address, a name of a socket.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for InstanceId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

impl Default for InstanceSpec {
    /// As the stock service: 1 CPU, 1 GiB of memory, a disk of 5 GiB.
    fn default() -> Self {
        Self { cpus: Cpus::DEFAULT, memory: MemorySize::DEFAULT, disk: DiskSize::DEFAULT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_begins_like_none_that_is_taken() {
        let ids = [
            "01020304-0506-4000-8000-000000000000",
            "01020399-0000-4000-8000-000000000000",
            "01029904-0506-4000-8000-000000000000",
        ];
        let [taken, alike, other] = ids.map(|id| id.parse::<InstanceId>().unwrap());
        let mut drawn = [taken, alike, other].into_iter();
        assert_eq!(InstanceId::unlike(&[taken], || drawn.next().unwrap()), other);
    }
}
