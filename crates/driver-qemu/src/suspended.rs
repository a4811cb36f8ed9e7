//! What a machine's kept state needs to go on. The state itself is in the machine's disk.

use std::io;

use durable::Readers;
use serde::{Deserialize, Serialize};

use crate::files::{self, Files};

/// The state's name in the disk.
pub(crate) const TAG: &str = "suspend";

/// That a machine is suspended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspended {
    /// The type of machine that the state is of: a later QEMU makes another one unasked.
    pub(crate) machine_type: MachineType,
}

/// The name of a type of machine. It becomes a part of QEMU's arguments, and has come from a QEMU that a guest
/// may have broken into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MachineType(String);

impl MachineType {
    /// From the name of the type of QEMU's object.
    pub(crate) fn of_object(name: &str) -> Result<Self, &'static str> {
        Self::try_from(name.strip_suffix("-machine").unwrap_or(name).to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MachineType {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let fits = name.starts_with("pc-q35-")
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if fits { Ok(Self(name)) } else { Err("this is no type of machine that is started here") }
    }
}

impl From<MachineType> for String {
    fn from(name: MachineType) -> Self {
        name.0
    }
}

impl Suspended {
    /// What is kept, if the machine is suspended. *Blocking*.
    pub(crate) fn read(files: &Files) -> io::Result<Option<Self>> {
        let Some(bytes) = files::read(&files.suspended())? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from)
    }

    /// Says that the machine is suspended, and survives a power cut. *Blocking*.
    pub(crate) fn write(&self, files: &Files) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        durable::replace(&files.suspended(), &bytes, Readers::Owner).map(drop)
    }

    /// Says that it no longer is; so does what is left after a power cut. *Blocking*.
    pub(crate) fn forget(files: &Files) -> io::Result<()> {
        files::remove(&files.suspended())?;
        files::sync_directory(files.directory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path());
        assert_eq!(Suspended::read(&files).unwrap(), None);
        let machine_type = MachineType::of_object("pc-q35-7.2-machine").unwrap();
        assert_eq!(machine_type.as_str(), "pc-q35-7.2");
        let suspended = Suspended { machine_type };
        suspended.write(&files).unwrap();
        assert_eq!(Suspended::read(&files).unwrap(), Some(suspended));
        Suspended::forget(&files).unwrap();
        Suspended::forget(&files).unwrap();
        assert_eq!(Suspended::read(&files).unwrap(), None);
    }

    #[test]
    fn a_type_brings_no_arguments_of_its_own() {
        for name in ["pc-q35-7.2,firmware=/etc/shadow", "q35", "none-machine", "", "pc-q35-\n", "pc-q35-é"] {
            assert!(MachineType::of_object(name).is_err(), "{name}");
            let directory = tempfile::tempdir().unwrap();
            let files = Files::new(directory.path());
            let json = serde_json::json!({ "machine_type": name }).to_string();
            std::fs::write(files.suspended(), json).unwrap();
            assert!(Suspended::read(&files).is_err(), "{name}");
        }
    }
}
