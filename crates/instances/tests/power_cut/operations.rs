//! What is done to a registry in these tests, as a table.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use durable::{FileError, Readers};
use faulty_disk::walk::Work;
use faulty_disk::{Fault, Log, Plan, Tree, record, set};
use instances::{
    Digest, ImageFormat, InstanceId, InstanceName, InstanceSpec, Record, Registry, RegistryError,
};

use crate::{cuts, faults};

/// Below the recorded directory.
const ROOT: &str = "instances";

/// A call, with what it begins and ends with: the instances' names, with a cross behind those in the bin.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    given: fn(&Path),
    call: Call,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

#[derive(Clone, Copy)]
enum Call {
    /// The registry is opened, and then something is done to it.
    Open(fn(&Arc<Registry>) -> Result<(), RegistryError>),
    /// The registry was open.
    On(fn(&Arc<Registry>) -> Result<(), RegistryError>),
}

pub(crate) struct Run {
    /// Of the call, and of the same call over a disk that was fixed.
    pub(crate) results: [Result<String, RegistryError>; 2],
    /// What the registry says between the two, if it is open.
    pub(crate) between: Option<String>,
    /// What is there between the two.
    pub(crate) files: Tree,
    pub(crate) log: Log,
}

impl Work for Operation {
    type Told = Result<String, RegistryError>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn given(&self) -> Tree {
        let data = tempfile::tempdir().unwrap();
        (self.given)(data.path());
        Tree::read(data.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let data = given.in_a_directory();
        let mut registry = self.opened(data.path());
        record(data.path(), || {
            set(plan);
            self.call(data.path(), &mut registry)
        })
    }

    fn survives(&self, _: &Tree, told: Self::Told, log: &Log) -> Result<usize, String> {
        cuts::survives(self, told, log)
    }

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        faults::check(self, fault, &self.run_twice(given, Plan { fault: Some(fault), ..Plan::default() }))
    }
}

impl Operation {
    fn run_twice(&self, given: &Tree, plan: Plan) -> Run {
        let data = given.in_a_directory();
        let mut registry = self.opened(data.path());
        let ((results, between, files), log) = record(data.path(), || {
            set(plan);
            let first = self.call(data.path(), &mut registry);
            set(Plan::default());
            let between = registry.as_ref().map(|registry| seen(registry));
            let files = Tree::read(data.path());
            if matches!(self.call, Call::Open(_)) {
                registry = None;
            }
            let second = self.call(data.path(), &mut registry);
            ([first, second], between, files)
        });
        Run { results, between, files, log }
    }

    fn opened(&self, data: &Path) -> Option<Arc<Registry>> {
        match self.call {
            Call::Open(_) => None,
            Call::On(_) => Some(open(data).unwrap()),
        }
    }

    fn call(&self, data: &Path, registry: &mut Option<Arc<Registry>>) -> Result<String, RegistryError> {
        match self.call {
            Call::Open(then) => then(registry.insert(open(data)?))?,
            Call::On(call) => call(registry.as_ref().expect("it is open"))?,
        }
        Ok(seen(registry.as_ref().expect("it is open")))
    }
}

fn open(data: &Path) -> Result<Arc<Registry>, RegistryError> {
    Registry::open(&data.join(ROOT)).map(Arc::new)
}

fn seen(registry: &Registry) -> String {
    let mark = |record: &Record| if record.is_deleted { "x" } else { "" };
    registry.all().iter().map(|(name, record)| format!("{name}{} ", mark(record))).collect()
}

/// What a daemon finds that starts over these files. All that is an instance's must be there with it.
pub(crate) fn restart(tree: &Tree) -> Result<String, String> {
    let data = tree.in_a_directory();
    let registry = open(data.path()).map_err(|error| format!("it does not open: {error:?}"))?;
    if !registry.damaged().is_empty() {
        return Err(format!("it is damaged: {:?}", registry.damaged()));
    }
    for (name, record) in registry.all() {
        let machine = registry.machine(&name, &record, "/image".into());
        let key = registry.client_key(&name).map_err(|error| format!("the key of {name}: {error:?}"))?;
        let disk = fs::read(machine.directory.join("disk"));
        if key.as_slice() != b"key" || !disk.is_ok_and(|bytes| bytes == b"disk") {
            return Err(format!("{name} is there by half"));
        }
    }
    let left = Tree::read(data.path());
    match left.0.keys().find(|path| is_leftover(path)) {
        Some(path) => Err(format!("{} is left", path.display())),
        None => Ok(seen(&registry)),
    }
}

/// Whether a crash may have left it: it, or something above it, is not yet or no longer an instance's.
pub(crate) fn is_leftover(path: &Path) -> bool {
    path.iter()
        .any(|name| [b".new-".as_slice(), b".old-"].iter().any(|s| name.as_encoded_bytes().starts_with(s)))
}

fn name(text: &str) -> InstanceName {
    text.parse().unwrap()
}

fn create(registry: &Arc<Registry>, text: &str) -> Result<(), RegistryError> {
    let id = InstanceId::random();
    let record = Record {
        id,
        created: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        spec: InstanceSpec::default(),
        image: Digest::of(b"image"),
        format: ImageFormat::Raw,
        origin: "test".into(),
        is_deleted: false,
        host_key: String::new(),
    };
    let staging = registry.stage(&name(text), id)?;
    let disk = staging.machine_directory().join("disk");
    // As a driver does.
    durable::replace(&disk, b"disk", Readers::Owner).map_err(FileError::write(&disk))?;
    staging.commit(record, b"key").map(drop)
}

fn discard(registry: &Arc<Registry>, text: &str) -> Result<(), RegistryError> {
    registry.update(&name(text), |record| record.is_deleted = true).map(drop)
}

fn nothing(_: &Path) {}

fn with_one(data: &Path) {
    create(&open(data).unwrap(), "a").unwrap();
}

fn with_two(data: &Path) {
    let registry = open(data).unwrap();
    create(&registry, "a").unwrap();
    create(&registry, "b").unwrap();
    discard(&registry, "b").unwrap();
}

/// A launch and a removal that a crash ended in the middle, and a change to a record.
fn after_a_crash(data: &Path) {
    with_one(data);
    let root = data.join(ROOT);
    for directory in [".new-1", ".new-1/machine", ".old-2", ".old-2/machine"] {
        DirBuilder::new().mode(0o700).create(root.join(directory)).unwrap();
    }
    for file in [".new-1/machine/disk", ".old-2/instance.json", ".old-2/machine/disk", "a/.new-3"] {
        fs::write(root.join(file), "half").unwrap();
    }
}

/// All operations.
pub(crate) fn all() -> Vec<Operation> {
    let row = |name, given, call, before, after| Operation { name, given, call, before, after };
    vec![
        row("the first start", nothing, Call::Open(|_| Ok(())), "", ""),
        row("the first start, and an instance", nothing, Call::Open(|r| create(r, "a")), "", "a "),
        row("another start", with_two, Call::Open(|_| Ok(())), "a bx ", "a bx "),
        row("a start after a crash", after_a_crash, Call::Open(|_| Ok(())), "a ", "a "),
        row("the first instance", |data| drop(open(data).unwrap()), Call::On(|r| create(r, "a")), "", "a "),
        row("another instance", with_one, Call::On(|r| create(r, "b")), "a ", "a b "),
        row("into the bin", with_one, Call::On(|r| discard(r, "a")), "a ", "ax "),
        row("out for good", with_two, Call::On(|r| r.remove(&name("b"))), "a bx ", "a "),
    ]
}
