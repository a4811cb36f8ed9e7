//! A service over a driver in memory, and what the tests of commands share.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instances::testkit::MemoryDriver;
use instances::{
    Cpus, DiskSize, ImageSource, ImageStore, InstanceError, InstanceName, InstanceState, Instances, Launch,
    Limits, MemorySize, Progress, ProgressReport, Registry, UserData,
};
use tempfile::TempDir;

use crate::images::{LARGEST, disk, files};

pub(crate) const LIMITS: Limits =
    Limits { boot: Duration::from_secs(300), shutdown: Duration::from_secs(120), launches: 2 };

/// A data directory, the machines of a driver, and a service over both.
pub(crate) struct World {
    data: TempDir,
    pub(crate) driver: Arc<MemoryDriver>,
    pub(crate) instances: Instances,
    /// What was told of machines that ended.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let driver = Arc::new(MemoryDriver::new());
        let told = Arc::default();
        let instances = open(&data, &driver, &told).await;
        Self { data, driver, instances, told }
    }

    /// With an instance of that name, which runs.
    pub(crate) async fn with(name: &str) -> Self {
        let world = Self::new().await;
        world.launch(name).await.unwrap();
        world
    }

    pub(crate) async fn launch(&self, name: &str) -> Result<InstanceName, InstanceError> {
        self.instances.launch(launch(name), now(), silent()).await
    }

    /// The daemon ends, without a word, and another starts. The machines run on.
    pub(crate) async fn restart(self) -> Self {
        let Self { data, driver, instances, told } = self;
        instances.settle().await;
        drop(instances);
        let instances = open(&data, &driver, &told).await;
        Self { data, driver, instances, told }
    }

    pub(crate) async fn state(&self, text: &str) -> InstanceState {
        self.instances.info(&name(text)).await.unwrap().state
    }

    /// All instances with their states.
    pub(crate) async fn states(&self) -> BTreeMap<String, InstanceState> {
        let list = self.instances.list().await;
        list.into_iter().map(|overview| (overview.name.to_string(), overview.state)).collect()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.data.path().join("instances")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.data.path().join("vault")
    }

    /// Nothing is left of any instance: not here, not on the disk, not at the driver's.
    pub(crate) async fn assert_nothing_is_left(&self, what: &str) {
        assert_eq!(self.states().await, BTreeMap::new(), "{what}");
        assert_eq!(files(&self.root()), ["lock"], "{what}");
        assert_eq!(self.driver.machines(), [], "{what}");
        let unfinished: Vec<_> =
            files(&self.images()).into_iter().filter(|name| name.starts_with(".new-")).collect();
        assert_eq!(unfinished, [""; 0], "{what}");
    }
}

async fn open(data: &TempDir, driver: &Arc<MemoryDriver>, told: &Arc<Mutex<Vec<String>>>) -> Instances {
    let registry = Arc::new(Registry::open(&data.path().join("instances")).unwrap());
    let store = Arc::new(ImageStore::open(&data.path().join("vault"), LARGEST).unwrap());
    let limits = fetch::Limits::default();
    let client = fetch::Client::trusting(rustls::RootCertStore::empty(), limits).unwrap();
    let told = Arc::clone(told);
    let report = move |name: &InstanceName, why: &str| told.lock().unwrap().push(format!("{name}: {why}"));
    Instances::open(registry, store, driver.clone(), client, LIMITS, report).await
}

pub(crate) fn name(text: &str) -> InstanceName {
    text.parse().unwrap()
}

/// The moment at which everything here happens.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(crate) fn silent() -> ProgressReport {
    Arc::new(|_| {})
}

/// Keeps what is reported.
pub(crate) fn reports() -> (ProgressReport, Arc<Mutex<Vec<Progress>>>) {
    let kept: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    (Arc::new(move |progress| keeping.lock().unwrap().push(progress)), kept)
}

pub(crate) fn source(bytes: &[u8]) -> ImageSource {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    ImageSource::File { file, origin: "file:///tmp/image".into() }
}

/// Of a small image; without a name, of a friendly one.
pub(crate) fn launch(text: &str) -> Launch {
    Launch {
        name: (!text.is_empty()).then(|| name(text)),
        cpus: Cpus::DEFAULT,
        memory: MemorySize::DEFAULT,
        disk: Some(DiskSize::DEFAULT),
        source: source(&disk(1, 4096)),
        expected: None,
        user_data: UserData::default(),
        timeout: None,
    }
}
