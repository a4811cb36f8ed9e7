//! Which instances there are, on disk: one directory each, in which one file says what it is.
//!
//! An instance is never half there. It is made in a directory beside the others and renamed into place; it is
//! renamed out before it is removed. What a crash leaves of either is swept when the registry opens. A record
//! that cannot be read is told of and stays, as does everything beside it.

mod record;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable::{FileError, Readers, private};
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::record::Record;
use crate::{DiskImage, InstanceId, InstanceName, Machine};

/// How directories are called that are not yet, or no longer, an instance's. No instance's name begins so.
const STAGING: &str = ".new-";
const REMOVED: &str = ".old-";

const RECORD: &str = "instance.json";
const CLIENT_KEY: &str = "client_key";
const MACHINE: &str = "machine";

/// The most that is read of a record, and of a key.
const MAX_FILE: u64 = 64 * 1024;

/// All instances. One process has it open at a time.
#[derive(Debug)]
pub struct Registry {
    root: PathBuf,
    /// Kept locked as long as it is open.
    _lock: File,
    state: Mutex<State>,
    /// One change to the disk at a time.
    changing: Mutex<()>,
    damaged: Vec<DamagedInstance>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<InstanceName, Arc<Record>>,
    /// Names of instances that are being made.
    reserved: HashSet<InstanceName>,
}

/// Something in the registry's directory that is not understood. It stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedInstance {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// Why the registry could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file or directory could not be used, or another process has it open.
    #[error(transparent)]
    File(#[from] FileError),
    /// An instance of that name is there, or is being made.
    #[error("instance \"{0}\" already exists; give another name")]
    Exists(InstanceName),
    /// There is no instance of that name.
    #[error("instance \"{0}\" does not exist")]
    DoesNotExist(InstanceName),
}

impl Registry {
    /// Opens the registry in a directory of its own, which is made if it is missing; the one above it must be
    /// there. *Blocking*.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another process has it open.
    pub fn open(root: &Path) -> Result<Self, RegistryError> {
        let lock = durable::hold(root)?;
        let mut registry = Self {
            root: root.to_owned(),
            _lock: lock,
            state: Mutex::default(),
            changing: Mutex::default(),
            damaged: Vec::new(),
        };
        registry.read()?;
        Ok(registry)
    }

    /// Sweeps what a crash left, and reads the rest. What is wrong with one instance takes no other away.
    fn read(&mut self) -> Result<(), RegistryError> {
        let root = self.root.clone();
        let mut records = BTreeMap::new();
        let entries = std::fs::read_dir(&root).map_err(FileError::read(&root))?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(FileError::read(&root))?.path());
        }
        // In this order they are told of.
        paths.sort();
        for path in paths {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file_name == "lock" {
                continue;
            }
            let is_leftover = [STAGING, REMOVED].iter().any(|start| file_name.starts_with(start));
            let outcome = match (is_leftover, file_name.parse()) {
                (true, _) => remove(&path)
                    .map_err(|error| format!("it was left by a crash, and cannot be removed: {error}")),
                (false, Err(_)) => Err("it is not the name of an instance".to_owned()),
                (false, Ok(name)) => read_instance(&path).map(|record| {
                    // Beside a record that is read: what was to replace it is not needed.
                    let _ = durable::clear_leftovers(&path);
                    records.insert(name, Arc::new(record));
                }),
            };
            if let Err(reason) = outcome {
                self.damaged.push(DamagedInstance { path, reason });
            }
        }
        // Whoever gave these names may have been killed before they were certain.
        durable::sync_directory(&root).map_err(FileError::write(&root))?;
        self.state().records = records;
        Ok(())
    }

    /// What was not understood when the registry was opened.
    #[must_use]
    pub fn damaged(&self) -> &[DamagedInstance] {
        &self.damaged
    }

    /// All instances, by their names.
    #[must_use]
    pub fn all(&self) -> Vec<(InstanceName, Arc<Record>)> {
        self.state().records.iter().map(|(name, record)| (name.clone(), Arc::clone(record))).collect()
    }

    /// One instance.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn get(&self, name: &InstanceName) -> Result<Arc<Record>, RegistryError> {
        let found = self.state().records.get(name).cloned();
        found.ok_or_else(|| RegistryError::DoesNotExist(name.clone()))
    }

    /// An id for a new instance: with another beginning than those there are, for drivers make numbers of that.
    #[must_use]
    pub fn new_id(&self) -> InstanceId {
        let taken: Vec<_> = self.state().records.values().map(|record| record.id).collect();
        InstanceId::unlike(&taken, InstanceId::random)
    }

    /// Whether an instance, or whatever else, has that name. *Blocking*: on disks that do not tell capitals
    /// from small letters, the disk says so.
    #[must_use]
    pub fn is_taken(&self, name: &InstanceName) -> bool {
        self.is_taken_in(&self.state(), name)
    }

    fn is_taken_in(&self, state: &State, name: &InstanceName) -> bool {
        let is_known = state.records.contains_key(name) || state.reserved.contains(name);
        is_known || self.root.join(name.as_str()).symlink_metadata().is_ok()
    }

    /// What a driver needs to know of an instance.
    #[must_use]
    pub fn machine(&self, name: &InstanceName, record: &Record, image: PathBuf) -> Machine {
        Machine {
            id: record.id,
            name: name.clone(),
            directory: self.root.join(name.as_str()).join(MACHINE),
            spec: record.spec,
            image: DiskImage { path: image, format: record.format },
        }
    }

    /// Begins to make an instance: its name is taken from now on. *Blocking*.
    ///
    /// # Errors
    /// The name is taken, or the disk cannot be written.
    pub fn stage(self: &Arc<Self>, name: &InstanceName, id: InstanceId) -> Result<Staging, RegistryError> {
        let reserved = NameReservation::new(self, name)?;
        let directory = self.root.join(format!("{STAGING}{id}"));
        // From here on what fails removes it.
        let staging = Staging { reserved, directory, is_done: false };
        for directory in [staging.directory.clone(), staging.machine_directory()] {
            private::directory(&directory).map_err(FileError::write(&directory))?;
        }
        Ok(staging)
    }

    /// Changes what is written down of an instance. *Blocking*.
    ///
    /// # Errors
    /// There is no such instance, or the disk cannot be written; then it is as it was.
    pub fn update(
        &self,
        name: &InstanceName,
        change: impl FnOnce(&mut Record),
    ) -> Result<Arc<Record>, RegistryError> {
        let _alone = self.alone();
        let mut record = Record::clone(&*self.get(name)?);
        change(&mut record);
        let directory = self.root.join(name.as_str());
        let written = write_record(&directory, &record);
        // If the last step failed, the new one may be there.
        let now = written.as_ref().map_or_else(|_| read_instance(&directory).ok(), |()| Some(record));
        if let Some(now) = now {
            let now = Arc::new(now);
            self.state().records.insert(name.clone(), Arc::clone(&now));
            return written.map(|()| now);
        }
        written.and_then(|()| self.get(name))
    }

    /// The private key that opens an instance's SSH server, in OpenSSH's format. *Blocking*.
    ///
    /// # Errors
    /// There is no such instance, or the key cannot be read.
    pub fn client_key(&self, name: &InstanceName) -> Result<Zeroizing<Vec<u8>>, RegistryError> {
        self.get(name)?;
        let path = self.root.join(name.as_str()).join(CLIENT_KEY);
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        let read = private::read(&path, MAX_FILE).and_then(|found| found.ok_or_else(missing));
        Ok(read.map(Zeroizing::new).map_err(FileError::read(&path))?)
    }

    /// Removes an instance with all that is its own. Its machine must have been deleted. *Blocking*.
    ///
    /// # Errors
    /// There is no such instance, or it cannot be removed. It is then there as before, or gone and what is left
    /// of it is swept later.
    pub fn remove(&self, name: &InstanceName) -> Result<(), RegistryError> {
        let _alone = self.alone();
        let record = self.get(name)?;
        let from = self.root.join(name.as_str());
        let out = self.root.join(format!("{REMOVED}{}", record.id));
        let renamed = durable::rename(&from, &out);
        // If the last step failed, it is gone all the same.
        if from.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.state().records.remove(name);
        }
        renamed.map_err(FileError::write(&from))?;
        // Nobody sees it any more: what cannot be removed now is swept when the registry next opens.
        let _ = remove(&out);
        Ok(())
    }

    // A panic cannot leave the state half changed: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that nobody else can take meanwhile.
#[derive(Debug)]
struct NameReservation {
    registry: Arc<Registry>,
    name: InstanceName,
}

impl NameReservation {
    fn new(registry: &Arc<Registry>, name: &InstanceName) -> Result<Self, RegistryError> {
        let mut state = registry.state();
        if registry.is_taken_in(&state, name) {
            return Err(RegistryError::Exists(name.clone()));
        }
        state.reserved.insert(name.clone());
        drop(state);
        Ok(Self { registry: Arc::clone(registry), name: name.clone() })
    }
}

impl Drop for NameReservation {
    fn drop(&mut self) {
        self.registry.state().reserved.remove(&self.name);
    }
}

/// An instance that is being made. Dropped, it is as if it had never been. Dropping is *blocking*.
#[derive(Debug)]
pub struct Staging {
    reserved: NameReservation,
    directory: PathBuf,
    is_done: bool,
}

impl Staging {
    /// Where its driver makes its files.
    #[must_use]
    pub fn machine_directory(&self) -> PathBuf {
        self.directory.join(MACHINE)
    }

    /// Leaves the directory as it is, for the registry to sweep when it next opens.
    pub(crate) fn leave(mut self) {
        self.is_done = true;
    }

    /// Puts the instance in its place. When it returns, all of it survives a power cut. *Blocking*.
    ///
    /// # Errors
    /// The disk cannot be written. Nothing is left, unless the disk does not let it be undone: then the instance
    /// is there, whole.
    pub fn commit(mut self, record: Record, client_key: &[u8]) -> Result<Arc<Record>, RegistryError> {
        let registry = Arc::clone(&self.reserved.registry);
        let _alone = registry.alone();
        let key = self.directory.join(CLIENT_KEY);
        durable::replace(&key, client_key, Readers::Owner).map_err(FileError::write(&key))?;
        write_record(&self.directory, &record)?;
        let place = registry.root.join(self.reserved.name.as_str());
        let renamed = durable::rename(&self.directory, &place);
        if renamed.is_err() {
            // The last step may have failed alone. Its caller is told that there is no instance.
            let _ = durable::rename(&place, &self.directory);
        }
        let record = Arc::new(record);
        if place.symlink_metadata().is_ok() {
            self.is_done = true;
            registry.state().records.insert(self.reserved.name.clone(), Arc::clone(&record));
        }
        Ok(renamed.map(|()| record).map_err(FileError::write(&place))?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be removed is swept when the registry next opens.
            let _ = remove(&self.directory);
        }
    }
}

/// Removes a directory and what is in it; anything else that has its name stays. Links are not followed.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_instance(directory: &Path) -> Result<Record, String> {
    let is_directory = directory.symlink_metadata().map_err(|error| error.to_string())?.is_dir();
    if !is_directory {
        return Err("it is not a directory".to_owned());
    }
    let path = directory.join(RECORD);
    let read = private::read(&path, MAX_FILE).map_err(|error| format!("cannot read {RECORD}: {error}"))?;
    let bytes = read.ok_or_else(|| format!("{RECORD} is missing"))?;
    Record::from_json(&bytes).map_err(|error| format!("{RECORD} cannot be understood: {error}"))
}

fn write_record(directory: &Path, record: &Record) -> Result<(), RegistryError> {
    let path = directory.join(RECORD);
    let bytes = record.to_json().map_err(io::Error::from).and_then(|bytes| match bytes.len() as u64 {
        // What would not be read again must not be written.
        length if length > MAX_FILE => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long")),
        _ => Ok(bytes),
    });
    let written = bytes.and_then(|bytes| durable::replace(&path, &bytes, Readers::Owner));
    Ok(written.map(drop).map_err(FileError::write(&path))?)
}
