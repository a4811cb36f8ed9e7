//! The driver: what is asked of it, handed to a [`Job`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use instances::{Driver, DriverError, Ended, InstanceId, Machine, MachineState, Seed, Stop};
use tokio::sync::{broadcast, watch};

use crate::accelerator::{Accelerator, Choice};
use crate::files::Files;
use crate::job::{Job, Slot};
use crate::programs::Programs;
use crate::running::Over;
use crate::{platform, reachable};

/// Ends that were not asked for and that a listener may still have to hear of.
const ENDS: usize = 64;

/// Runs machines with QEMU. Needs a tokio runtime with its timer and its input and output.
#[derive(Debug)]
pub struct QemuDriver {
    shared: Arc<Shared>,
    slots: Mutex<HashMap<InstanceId, Arc<Slot>>>,
    /// Dropped along with the driver: then nobody watches over its machines, which run on.
    _alive: watch::Sender<()>,
}

/// What is the same for all machines.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) programs: Programs,
    pub(crate) accelerator: Accelerator,
    pub(crate) ended: broadcast::Sender<Ended>,
    /// Closed when the driver is gone.
    pub(crate) here: watch::Receiver<()>,
}

impl QemuDriver {
    /// A driver with this machine's QEMU. If guests will be emulated, though nobody asked for that, the log
    /// says so, this once.
    ///
    /// # Errors
    /// [`DriverError::Unavailable`]: QEMU is not installed.
    pub fn new(accelerator: Choice) -> Result<Self, DriverError> {
        let programs = Programs::find()?;
        let (accelerator, why) = Accelerator::choose(accelerator);
        if let Some(why) = why {
            tracing::warn!("virtual machines are emulated, which is slow: {why}");
        }
        // Whoever started us may have left us descriptors that every QEMU would inherit, and keep open.
        close_fds::CloseFdsBuilder::new().cloexecfrom(3);
        let (ended, _) = broadcast::channel(ENDS);
        let (alive, here) = watch::channel(());
        let shared = Arc::new(Shared { programs, accelerator, ended, here });
        Ok(Self { shared, slots: Mutex::default(), _alive: alive })
    }

    /// How guests are run.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.shared.accelerator
    }

    /// Machines that run, were made below `root`, and are none of those that are known: with their processes, for the
    /// administrator to end. There are some if the registry was lost. *Blocking*.
    #[must_use]
    pub fn orphans(&self, root: &Path, known: &[InstanceId]) -> Vec<(i32, InstanceId)> {
        let mut machines = platform::machines(root);
        machines.retain(|(_, id)| !known.contains(id));
        machines
    }

    fn job(&self, machine: &Machine) -> Job {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Job {
            shared: Arc::clone(&self.shared),
            slot: Arc::clone(slots.entry(machine.id).or_default()),
            machine: machine.clone(),
            files: Files::new(&machine.directory),
        }
    }
}

#[async_trait]
impl Driver for QemuDriver {
    fn name(&self) -> &'static str {
        "qemu"
    }

    async fn prepare(&self, machine: &Machine, seed: &Seed) -> Result<(), DriverError> {
        self.job(machine).prepare(seed).await
    }

    async fn start(&self, machine: &Machine) -> Result<(), DriverError> {
        self.job(machine).finish(Job::start).await
    }

    async fn reachable(&self, machine: &Machine) -> Result<(), DriverError> {
        let running = self.job(machine).running()?;
        tokio::select! {
            () = reachable::wait(loopback(running.port)) => Ok(()),
            over = running.until_over() => Err(DriverError::Ended(match over {
                Over::Ended(why) => why,
                Over::Lost => "its QEMU no longer answers".into(),
            })),
        }
    }

    async fn stop(&self, machine: &Machine, how: Stop) -> Result<(), DriverError> {
        match how {
            Stop::Force => self.job(machine).finish_by_force(move |job| job.stop(how)).await,
            Stop::Shutdown { .. } => self.job(machine).finish(move |job| job.stop(how)).await,
        }
    }

    async fn restart(&self, machine: &Machine, within: Duration) -> Result<(), DriverError> {
        self.job(machine).finish(move |job| job.restart(within)).await
    }

    async fn suspend(&self, machine: &Machine) -> Result<(), DriverError> {
        self.job(machine).finish(Job::suspend).await
    }

    async fn resume(&self, machine: &Machine) -> Result<(), DriverError> {
        self.job(machine).finish(Job::resume).await
    }

    async fn grow_disk(&self, machine: &Machine) -> Result<(), DriverError> {
        self.job(machine).finish(Job::grow_disk).await
    }

    async fn delete(&self, machine: &Machine) -> Result<(), DriverError> {
        self.job(machine).finish_by_force(|job| async move { job.cut_power().await }).await?;
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&machine.id);
        Ok(())
    }

    async fn state(&self, machine: &Machine) -> MachineState {
        self.job(machine).state().await
    }

    async fn reattach(&self, machine: &Machine) -> MachineState {
        self.job(machine).finish(Job::reattach).await.unwrap_or_else(|error| {
            let (id, name) = (machine.id, &machine.name);
            tracing::warn!(%id, %name, %error, "a virtual machine cannot be found again");
            MachineState::Unknown
        })
    }

    async fn ssh_address(&self, machine: &Machine) -> Option<SocketAddr> {
        self.job(machine).slot.running().map(|running| loopback(running.port))
    }

    fn ended(&self) -> broadcast::Receiver<Ended> {
        self.shared.ended.subscribe()
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
