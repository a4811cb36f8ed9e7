//! The commands, over registry, images and driver.
//!
//! One command at a time for each instance. A command that changes something runs to its end whether or not its
//! caller waits for it; only a launch is given up with its caller, and leaves nothing.

mod commands;
mod entry;
mod error;
mod launch;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use zeroize::Zeroizing;

pub use self::commands::{PurgeOutcome, SpecChange};
use self::entry::Entry;
pub use self::error::InstanceError;
pub use self::launch::{ImageSource, Launch, Progress, ProgressReport};
use crate::state::RefusalReason;
use crate::{
    Command, DamagedInstance, Digest, Driver, Ended, ImageStore, InstanceId, InstanceName, InstanceSpec,
    InstanceState, Machine, MachineState, Record, RefusedCommand, Registry, Stop,
};

/// How long is waited, and how much is done at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a guest to come up, unless its caller says otherwise.
    pub boot: Duration,
    /// For a guest to shut down.
    pub shutdown: Duration,
    /// Instances that are made at the same time, and beside them images that are downloaded for launches; more wait.
    pub launches: usize,
}

/// How long it is waited at most, when instances are found again, for the guests that are up to say so.
const UP_ALREADY: Duration = Duration::from_secs(1);

/// How long a machine may take to be found again; after that its state is unknown.
const REATTACH_WITHIN: Duration = Duration::from_secs(10);

/// All instances, and what can be done with them.
#[derive(Clone, Debug)]
pub struct Instances(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    images: Arc<ImageStore>,
    driver: Arc<dyn Driver>,
    client: fetch::Client,
    limits: Limits,
    launches: Semaphore,
    /// As many images are downloaded for launches at the same time.
    downloads: Semaphore,
    entries: Mutex<HashMap<InstanceId, Arc<Entry>>>,
    tasks: TaskTracker,
    listening: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// What `list` and `info` tell of an instance without asking its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Its name.
    pub name: InstanceName,
    /// Which.
    pub id: InstanceId,
    /// What it does.
    pub state: InstanceState,
    /// How much of the host it gets.
    pub spec: InstanceSpec,
    /// When it was made.
    pub created: SystemTime,
    /// The image that its disk is based on.
    pub image: Digest,
    /// Where that came from.
    pub origin: String,
}

/// How an instance's SSH server is reached, and known.
#[derive(Debug)]
pub struct SshAccess {
    /// On this host.
    pub address: SocketAddr,
    /// The user to log in as.
    pub user: &'static str,
    /// The only key that the server may have, as in a `known_hosts` file.
    pub host_key: String,
    /// The key that opens it, in OpenSSH's format.
    pub client_key: Zeroizing<Vec<u8>>,
}

impl Default for Limits {
    /// As the stock service: five minutes for a guest to come up.
    fn default() -> Self {
        Self { boot: Duration::from_secs(300), shutdown: Duration::from_secs(120), launches: 4 }
    }
}

impl Instances {
    /// Takes over what is there: machines that an earlier daemon started are found again, and their guests waited
    /// for if they do not answer yet; those whose instances are in the bin are ended. `report` is told of machines that
    /// end by themselves, until the last clone of this is dropped.
    pub async fn open(
        registry: Arc<Registry>,
        images: Arc<ImageStore>,
        driver: Arc<dyn Driver>,
        client: fetch::Client,
        limits: Limits,
        report: impl Fn(&InstanceName, &str) + Send + Sync + 'static,
    ) -> Self {
        let ended = driver.ended();
        let this = Self(Arc::new(Inner {
            registry,
            images,
            driver,
            client,
            limits,
            launches: Semaphore::new(limits.launches),
            downloads: Semaphore::new(limits.launches),
            entries: Mutex::default(),
            tasks: TaskTracker::new(),
            listening: Mutex::default(),
        }));
        let running = this.take_over(&report).await;
        // Nobody is to be told that an instance is starting which has been up for long.
        let deadline = Instant::now() + UP_ALREADY;
        for record in running {
            let _ = timeout_at(deadline, this.0.up(&record, None)).await;
        }
        let listening = this.listen(ended, report);
        *this.0.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(listening);
        this
    }

    /// Waits for the guests that an earlier daemon has started, and ends those in the bin. Gives those that run.
    async fn take_over(&self, report: &(impl Fn(&InstanceName, &str) + Sync)) -> Vec<Arc<Record>> {
        let mut running = Vec::new();
        for (name, record, found) in self.0.reattach().await {
            let machine = self.0.machine(&name, &record);
            if !record.is_deleted && found == MachineState::Running {
                let turn = self.0.entry(record.id).turn().await;
                turn.wait_for(self.0.boot(machine, InstanceState::Starting));
                running.push(record);
                continue;
            }
            if record.is_deleted
                && found != MachineState::Off
                && found != MachineState::Suspended
                && let Err(error) = self.0.driver.stop(&machine, Stop::Force).await
            {
                report(&name, &format!("it is deleted but still runs, and cannot be stopped: {error}"));
            }
        }
        running
    }

    /// Reports machines that end by themselves, and calls off what was to be done to them.
    fn listen(
        &self,
        mut ended: Receiver<Ended>,
        report: impl Fn(&InstanceName, &str) + Send + Sync + 'static,
    ) -> AbortOnDropHandle<()> {
        // Not the other way round: this must not be what keeps the instances.
        let inner = Arc::downgrade(&self.0);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let id = match ended.recv().await {
                    Ok(ended) => {
                        let Some(inner) = inner.upgrade() else { return };
                        if let Some((name, _)) = inner.by_id(ended.id) {
                            report(&name, &ended.reason);
                        }
                        ended.id
                    }
                    // States are asked of the driver: all that is missed is the report.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                if let Some(inner) = inner.upgrade() {
                    inner.entry(id).keep_running();
                }
            }
        }))
    }

    /// The driver's name.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.0.driver.name()
    }

    /// What the registry has found that it does not understand.
    #[must_use]
    pub fn damaged(&self) -> &[DamagedInstance] {
        self.0.registry.damaged()
    }

    /// All instances, by their names, those in the bin too.
    pub async fn list(&self) -> Vec<Overview> {
        let mut all = Vec::new();
        for (name, record) in self.0.registry.all() {
            all.push(self.0.overview(name, &record).await);
        }
        all
    }

    /// One instance.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn info(&self, name: &InstanceName) -> Result<Overview, InstanceError> {
        let record = self.0.registry.get(name)?;
        Ok(self.0.overview(name.clone(), &record).await)
    }

    /// The images that are there.
    ///
    /// # Errors
    /// The images cannot be read.
    pub async fn images(&self) -> Result<Vec<Digest>, InstanceError> {
        let images = Arc::clone(&self.0.images);
        blocking(move || Ok(images.all()?)).await
    }

    /// How an instance's SSH server is reached.
    ///
    /// # Errors
    /// There is no such instance, or it is not up.
    pub async fn connect(&self, name: &InstanceName) -> Result<SshAccess, InstanceError> {
        let record = self.0.registry.get(name)?;
        let state = self.0.state(name, &record).await;
        state.action(Command::Connect).map_err(|why| RefusedCommand::new(name, why))?;
        let machine = self.0.machine(name, &record);
        let address = self.0.driver.ssh_address(&machine).await;
        let address = address.ok_or_else(|| RefusedCommand::new(name, RefusalReason::NotUp))?;
        let (registry, key_of) = (Arc::clone(&self.0.registry), name.clone());
        let client_key = blocking(move || Ok(registry.client_key(&key_of)?)).await?;
        Ok(SshAccess { address, user: "ubuntu", host_key: record.host_key.clone(), client_key })
    }

    /// Removes images that no instance uses and that were last used before that moment.
    ///
    /// # Errors
    /// The images cannot be read or written.
    pub async fn prune_images(&self, unused_since: SystemTime) -> Result<Vec<Digest>, InstanceError> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let is_used = |digest| inner.registry.all().iter().any(|(_, record)| record.image == digest);
            Ok(inner.images.prune(&is_used, unused_since)?)
        })
        .await
    }

    /// Waits for the commands that run to their ends. No new ones may be begun meanwhile.
    pub async fn settle(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Inner {
    fn entry(&self, id: InstanceId) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(id).or_default())
    }

    /// Finds again what an earlier daemon has started, all at once: a machine that does not answer holds up no other.
    async fn reattach(self: &Arc<Self>) -> Vec<(InstanceName, Arc<Record>, MachineState)> {
        let mut finding = JoinSet::new();
        for (name, record) in self.registry.all() {
            let inner = Arc::clone(self);
            finding.spawn(async move {
                let machine = inner.machine(&name, &record);
                let found = timeout(REATTACH_WITHIN, inner.driver.reattach(&machine)).await;
                (name, record, found.unwrap_or(MachineState::Unknown))
            });
        }
        let mut found = Vec::new();
        while let Some(one) = finding.join_next().await {
            found.extend(one);
        }
        found
    }

    fn forget(&self, id: InstanceId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn by_id(&self, id: InstanceId) -> Option<(InstanceName, Arc<Record>)> {
        self.registry.all().into_iter().find(|(_, record)| record.id == id)
    }

    fn image(&self, digest: Digest) -> PathBuf {
        self.images.path(digest)
    }

    fn machine(&self, name: &InstanceName, record: &Record) -> Machine {
        self.registry.machine(name, record, self.image(record.image))
    }

    async fn state(&self, name: &InstanceName, record: &Record) -> InstanceState {
        if record.is_deleted {
            return InstanceState::Deleted;
        }
        let machine = self.driver.state(&self.machine(name, record)).await;
        self.entry(record.id).state(machine)
    }

    async fn overview(&self, name: InstanceName, record: &Record) -> Overview {
        let state = self.state(&name, record).await;
        let Record { id, spec, created, image, ref origin, .. } = *record;
        Overview { name, id, state, spec, created, image, origin: origin.clone() }
    }

    /// Runs to its end what must not be broken off when its caller goes away.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, InstanceError>> + Send + 'static,
    ) -> Result<T, InstanceError> {
        self.tasks.spawn(work).await.unwrap_or(Err(InstanceError::Cancelled))
    }
}

/// Runs what waits for files where that holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InstanceError> + Send + 'static,
) -> Result<T, InstanceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(InstanceError::Cancelled))
}
