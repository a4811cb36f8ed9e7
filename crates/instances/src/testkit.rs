//! A driver whose machines are in memory: for tests, which tell it when a step is to fail or to hang.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};

use crate::{Driver, DriverError, Ended, InstanceId, Machine, MachineState, Seed, Stop};

/// A call to a driver that does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// [`Driver::prepare`].
    Prepare,
    /// [`Driver::start`].
    Start,
    /// [`Driver::reachable`].
    Reachable,
    /// [`Driver::stop`] by shutdown.
    Shutdown,
    /// [`Driver::stop`] by force.
    Force,
    /// [`Driver::restart`].
    Restart,
    /// [`Driver::suspend`].
    Suspend,
    /// [`Driver::resume`].
    Resume,
    /// [`Driver::grow_disk`].
    GrowDisk,
    /// [`Driver::delete`].
    Delete,
    /// [`Driver::reattach`].
    Reattach,
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails.
    Fails,
    /// It does not end until the fault is lifted.
    Hangs,
    /// The disk is full.
    NoSpace,
}

/// A driver in memory. It outlives whoever uses it, as real machines do.
#[derive(Debug)]
pub struct MemoryDriver {
    inner: Mutex<Inner>,
    changed: Notify,
    ended: broadcast::Sender<Ended>,
}

#[derive(Debug, Default)]
struct Inner {
    machines: HashMap<InstanceId, KnownMachine>,
    faults: HashMap<Step, Fault>,
    done: Vec<(Step, InstanceId)>,
    begun: HashSet<Step>,
    /// Where all guests answer.
    ssh: Option<SocketAddr>,
}

#[derive(Debug)]
struct KnownMachine {
    state: MachineState,
    machine: Machine,
}

impl MemoryDriver {
    /// A driver without machines, whose guests are up at once.
    #[must_use]
    pub fn new() -> Self {
        Self { inner: Mutex::default(), changed: Notify::new(), ended: broadcast::channel(16).0 }
    }

    /// What becomes of a step from now on; nothing lifts the fault.
    pub fn set(&self, step: Step, fault: Option<Fault>) {
        let mut inner = self.inner();
        inner.begun.remove(&step);
        match fault {
            Some(fault) => inner.faults.insert(step, fault),
            None => inner.faults.remove(&step),
        };
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Where all guests that run answer from now on; until then on a port where nobody does.
    pub fn answers_at(&self, address: SocketAddr) {
        self.inner().ssh = Some(address);
    }

    /// Waits until a step has begun since its fault was last set.
    pub async fn begun(&self, step: Step) {
        self.until(|inner| inner.begun.contains(&step)).await;
    }

    /// The steps that were done, in order.
    #[must_use]
    pub fn done(&self) -> Vec<Step> {
        self.inner().done.iter().map(|(step, _)| *step).collect()
    }

    /// The machines that the driver knows, as they were last given to it, with their states.
    #[must_use]
    pub fn machines(&self) -> Vec<(Machine, MachineState)> {
        let inner = self.inner();
        let mut all: Vec<_> =
            inner.machines.values().map(|known| (known.machine.clone(), known.state)).collect();
        all.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        all
    }

    /// Changes a machine's state behind everybody's back, and tells if it has ended.
    pub fn happens(&self, id: InstanceId, state: MachineState) {
        if let Some(known) = self.inner().machines.get_mut(&id) {
            known.state = state;
        }
        if state == MachineState::Off {
            // That nobody listens is no fault of the machine's.
            let _ = self.ended.send(Ended { id, reason: "it happened".to_owned() });
        }
        self.changed.notify_waiters();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, holds: impl Fn(&Inner) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.inner()) {
                return;
            }
            changed.await;
        }
    }

    /// Begins a step, of which the fault is returned.
    fn begin(&self, step: Step) -> Option<Fault> {
        let mut inner = self.inner();
        inner.begun.insert(step);
        let fault = inner.faults.get(&step).copied();
        drop(inner);
        self.changed.notify_waiters();
        fault
    }

    async fn lifted(&self, step: Step) {
        self.until(|inner| !inner.faults.contains_key(&step)).await;
    }

    /// Goes through a step: from one of the states, to another.
    async fn step(
        &self,
        step: Step,
        machine: &Machine,
        from: &[MachineState],
        to: MachineState,
    ) -> Result<(), DriverError> {
        let fails = |what: String| DriverError::Failed { what, source: "it was told to".into() };
        match self.begin(step) {
            Some(Fault::Fails) if step == Step::Shutdown => return Err(DriverError::TimedOut),
            Some(Fault::Fails) => return Err(fails(format!("do {step:?}"))),
            Some(Fault::NoSpace) => return Err(DriverError::NoSpace(io::ErrorKind::StorageFull.into())),
            Some(Fault::Hangs) => self.lifted(step).await,
            None => {}
        }
        let mut inner = self.inner();
        let is_there = inner.machines.get(&machine.id).map_or(MachineState::Off, |known| known.state);
        if !from.contains(&is_there) {
            return Err(fails(format!("do {step:?} to a machine that is {is_there:?}")));
        }
        inner.machines.insert(machine.id, KnownMachine { state: to, machine: machine.clone() });
        inner.done.push((step, machine.id));
        drop(inner);
        self.changed.notify_waiters();
        Ok(())
    }
}

impl Default for MemoryDriver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Driver for MemoryDriver {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn prepare(&self, machine: &Machine, seed: &Seed) -> Result<(), DriverError> {
        let fails = |source: io::Error| DriverError::Failed { what: "write".into(), source: source.into() };
        if machine.directory.read_dir().map_err(fails)?.next().is_some() {
            return Err(fails(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        // There before the step can hang or fail: by half.
        std::fs::write(machine.directory.join("disk"), machine.spec.disk.to_string()).map_err(fails)?;
        std::fs::write(machine.directory.join("seed"), &seed.meta_data).map_err(fails)?;
        self.step(Step::Prepare, machine, &[MachineState::Off], MachineState::Off).await
    }

    async fn start(&self, machine: &Machine) -> Result<(), DriverError> {
        let disk = machine.directory.join("disk");
        if !disk.exists() || !machine.image.path.exists() {
            return Err(DriverError::Failed {
                what: "start".into(),
                source: "there is no disk, or no image".into(),
            });
        }
        self.step(Step::Start, machine, &[MachineState::Off], MachineState::Running).await
    }

    async fn reachable(&self, machine: &Machine) -> Result<(), DriverError> {
        let id = machine.id;
        let is_running =
            move |inner: &Inner| inner.machines.get(&id).is_some_and(|k| k.state == MachineState::Running);
        tokio::select! {
            result = self.step(Step::Reachable, machine, &[MachineState::Running], MachineState::Running) => result,
            () = self.until(|inner| !is_running(inner)) => Err(DriverError::Ended("it happened".to_owned())),
        }
    }

    async fn stop(&self, machine: &Machine, how: Stop) -> Result<(), DriverError> {
        use MachineState::{Off, Running, Suspended, Unknown};
        match how {
            Stop::Shutdown { .. } => self.step(Step::Shutdown, machine, &[Running], Off).await,
            Stop::Force => self.step(Step::Force, machine, &[Off, Running, Suspended, Unknown], Off).await,
        }
    }

    async fn restart(&self, machine: &Machine, _within: Duration) -> Result<(), DriverError> {
        self.step(Step::Restart, machine, &[MachineState::Running], MachineState::Running).await
    }

    async fn suspend(&self, machine: &Machine) -> Result<(), DriverError> {
        self.step(Step::Suspend, machine, &[MachineState::Running], MachineState::Suspended).await
    }

    async fn resume(&self, machine: &Machine) -> Result<(), DriverError> {
        self.step(Step::Resume, machine, &[MachineState::Suspended], MachineState::Running).await
    }

    async fn grow_disk(&self, machine: &Machine) -> Result<(), DriverError> {
        self.step(Step::GrowDisk, machine, &[MachineState::Off], MachineState::Off).await
    }

    async fn delete(&self, machine: &Machine) -> Result<(), DriverError> {
        use MachineState::{Off, Running, Suspended, Unknown};
        self.step(Step::Delete, machine, &[Off, Running, Suspended, Unknown], Off).await?;
        self.inner().machines.remove(&machine.id);
        Ok(())
    }

    async fn state(&self, machine: &Machine) -> MachineState {
        self.inner().machines.get(&machine.id).map_or(MachineState::Off, |known| known.state)
    }

    async fn reattach(&self, machine: &Machine) -> MachineState {
        match self.begin(Step::Reattach) {
            Some(Fault::Hangs) => self.lifted(Step::Reattach).await,
            Some(_) => return MachineState::Unknown,
            None => {}
        }
        self.state(machine).await
    }

    async fn ssh_address(&self, machine: &Machine) -> Option<SocketAddr> {
        let is_running = self.state(machine).await == MachineState::Running;
        let address = self.inner().ssh.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 2222)));
        is_running.then_some(address)
    }

    fn ended(&self) -> broadcast::Receiver<Ended> {
        self.ended.subscribe()
    }
}
