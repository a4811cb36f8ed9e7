//! The commands on instances that are there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::entry::{Boot, Turn};
use super::{Inner, InstanceError, Instances, blocking};
use crate::state::Action;
use crate::{
    Command, Cpus, DiskSize, InstanceName, InstanceState, Machine, MachineState, MemorySize, Record,
    RefusedCommand, Stop,
};

/// A change to how much of the host an instance gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecChange {
    /// So many processors.
    Cpus(Cpus),
    /// So much memory.
    Memory(MemorySize),
    /// So large a disk; not smaller than it is.
    Disk(DiskSize),
}

/// What became of the bin.
#[derive(Debug, Default)]
pub struct PurgeOutcome {
    /// Those that are gone.
    pub gone: Vec<InstanceName>,
    /// Those that could not be removed, with why. They are still in the bin.
    pub failed: Vec<(InstanceName, InstanceError)>,
}

/// What became of a guest that was waited for.
pub(super) enum BootOutcome {
    Yes,
    /// Its machine has ended.
    Ended(String),
    /// Somebody has stopped it meanwhile.
    Stopped,
    NotInTime,
}

impl Instances {
    /// Starts an instance, or lets a suspended one go on, and waits until it is up; for `timeout`, if it is given.
    ///
    /// # Errors
    /// Its state does not allow it, its machine does not start, or it is not up in time.
    pub async fn start(&self, name: &InstanceName, timeout: Option<Duration>) -> Result<(), InstanceError> {
        self.perform(name, Command::Start).await?;
        self.wait_for(name, timeout).await
    }

    /// Restarts an instance, and waits until it is up; for `timeout`, if it is given.
    ///
    /// # Errors
    /// Its state does not allow it, its guest does not shut down, or it is not up in time.
    pub async fn restart(&self, name: &InstanceName, timeout: Option<Duration>) -> Result<(), InstanceError> {
        self.perform(name, Command::Restart).await?;
        self.wait_for(name, timeout).await
    }

    /// Shuts an instance down.
    ///
    /// # Errors
    /// Its state does not allow it, or its guest does not shut down in time; then it runs on.
    pub async fn stop(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.perform(name, Command::Stop).await
    }

    /// Ends an instance at once, whatever it does; also one that is suspended, or is being shut down.
    ///
    /// # Errors
    /// It is in the bin, or its machine cannot be ended.
    pub async fn force_stop(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.0.entry(self.0.registry.get(name)?.id).interrupt();
        self.perform(name, Command::ForceStop).await
    }

    /// Has an instance shut down after a while. It is forgotten if the daemon ends before that.
    ///
    /// # Errors
    /// Its state does not allow it.
    pub async fn stop_later(&self, name: &InstanceName, after: Duration) -> Result<(), InstanceError> {
        let (turn, _, action) = self.0.turn(name, Command::StopLater).await?;
        if action == Action::ShutdownLater {
            let (inner, name) = (Arc::downgrade(&self.0), name.clone());
            turn.shut_down_later(AbortOnDropHandle::new(tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(inner) = inner.upgrade() {
                    // Whoever wanted it is gone; that it runs on can be seen.
                    let _ = Self(inner).stop(&name).await;
                }
            })));
        }
        Ok(())
    }

    /// Calls off a shutdown that is to come.
    ///
    /// # Errors
    /// There is no such instance, or it is in the bin.
    pub async fn cancel_stop(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.perform(name, Command::CancelStop).await
    }

    /// Suspends an instance.
    ///
    /// # Errors
    /// Its state does not allow it, or its machine's state cannot be kept; then it runs on, if it can.
    pub async fn suspend(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.perform(name, Command::Suspend).await
    }

    /// Puts an instance into the bin. If it runs, it is ended.
    ///
    /// # Errors
    /// There is no such instance, its machine cannot be ended, or the disk cannot be written.
    pub async fn delete(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.0.entry(self.0.registry.get(name)?.id).interrupt();
        self.perform(name, Command::Delete).await
    }

    /// Takes an instance out of the bin.
    ///
    /// # Errors
    /// There is no such instance, or the disk cannot be written.
    pub async fn recover(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.perform(name, Command::Recover).await
    }

    /// Removes an instance for good, be it in the bin or not.
    ///
    /// # Errors
    /// There is no such instance, its machine cannot be ended, or it cannot be removed.
    pub async fn delete_for_good(&self, name: &InstanceName) -> Result<(), InstanceError> {
        self.0.entry(self.0.registry.get(name)?.id).interrupt();
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.0
            .to_the_end(async move {
                let (turn, record, action) = inner.turn(&name, Command::Delete).await?;
                inner.act(&turn, &name, &record, action).await?;
                inner.remove(&turn, &name, &record).await
            })
            .await
    }

    /// Removes what is in the bin. What cannot be removed keeps nothing else back.
    pub async fn purge(&self) -> PurgeOutcome {
        let mut purged = PurgeOutcome::default();
        for (name, record) in self.0.registry.all() {
            if !record.is_deleted {
                continue;
            }
            match self.0.purge(&name).await {
                Ok(true) => purged.gone.push(name),
                Ok(false) => {}
                Err(error) => purged.failed.push((name, error)),
            }
        }
        purged
    }

    /// Changes how much of the host an instance gets from its next start on.
    ///
    /// # Errors
    /// It is not stopped, its disk would become smaller, or the disk of the host cannot be written.
    pub async fn set(&self, name: &InstanceName, change: SpecChange) -> Result<(), InstanceError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.0.to_the_end(async move { inner.set(&name, change).await }).await
    }

    async fn perform(&self, name: &InstanceName, command: Command) -> Result<(), InstanceError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.0
            .to_the_end(async move {
                let (turn, record, action) = inner.turn(&name, command).await?;
                inner.act(&turn, &name, &record, action).await
            })
            .await
    }

    async fn wait_for(&self, name: &InstanceName, timeout: Option<Duration>) -> Result<(), InstanceError> {
        let record = self.0.registry.get(name)?;
        let ended = |reason| InstanceError::EndedEarly { name: name.clone(), reason };
        match self.0.up(&record, timeout).await {
            BootOutcome::Yes => Ok(()),
            BootOutcome::Ended(reason) => Err(ended(reason)),
            BootOutcome::Stopped => Err(ended("it was stopped".to_owned())),
            BootOutcome::NotInTime => Err(InstanceError::TimedOut(name.clone())),
        }
    }
}

impl Inner {
    /// Waits for a turn, and judges by what is there then.
    async fn turn(
        &self,
        name: &InstanceName,
        command: Command,
    ) -> Result<(Turn, Arc<Record>, Action), InstanceError> {
        loop {
            let id = self.registry.get(name)?.id;
            let turn = self.entry(id).turn().await;
            let record = self.registry.get(name)?;
            // Meanwhile it may have been removed, and another be called so.
            if record.id == id {
                let state = self.state(name, &record).await;
                let action = state.action(command).map_err(|why| RefusedCommand::new(name, why))?;
                return Ok((turn, record, action));
            }
        }
    }

    async fn act(
        self: &Arc<Self>,
        turn: &Turn,
        name: &InstanceName,
        record: &Record,
        action: Action,
    ) -> Result<(), InstanceError> {
        let machine = self.machine(name, record);
        let fails = InstanceError::driver(name);
        match action {
            Action::Nothing | Action::Await | Action::Connect | Action::ShutdownLater | Action::Set => {}
            Action::KeepRunning => turn.entry().keep_running(),
            Action::Boot => {
                turn.show(InstanceState::Starting);
                self.driver.start(&machine).await.map_err(fails)?;
                turn.wait_for(self.boot(machine, InstanceState::Starting));
            }
            Action::Resume => {
                turn.show(InstanceState::Starting);
                self.driver.resume(&machine).await.map_err(fails)?;
                turn.wait_for(self.boot(machine, InstanceState::Starting));
            }
            Action::Restart => {
                turn.show(InstanceState::Restarting);
                turn.unless_interrupted(self.driver.restart(&machine, self.limits.shutdown))
                    .await?
                    .map_err(fails)?;
                turn.wait_for(self.boot(machine, InstanceState::Restarting));
            }
            Action::Shutdown => {
                // Until it has ended, it runs: there is no other word for it.
                turn.show(InstanceState::Running);
                let how = Stop::Shutdown { within: self.limits.shutdown };
                turn.unless_interrupted(self.driver.stop(&machine, how)).await?.map_err(fails)?;
            }
            Action::PowerOff => {
                turn.show(InstanceState::Running);
                self.driver.stop(&machine, Stop::Force).await.map_err(fails)?;
            }
            Action::Suspend => {
                turn.show(InstanceState::Suspending);
                turn.unless_interrupted(self.driver.suspend(&machine)).await?.map_err(fails)?;
            }
            Action::Discard => {
                turn.show(InstanceState::Running);
                let state = self.driver.state(&machine).await;
                if matches!(state, MachineState::Running | MachineState::Unknown) {
                    self.driver.stop(&machine, Stop::Force).await.map_err(fails)?;
                }
                self.update(name, |record| record.is_deleted = true).await?;
            }
            Action::Restore => self.update(name, |record| record.is_deleted = false).await?,
        }
        Ok(())
    }

    async fn update(
        self: &Arc<Self>,
        name: &InstanceName,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<(), InstanceError> {
        let (inner, name) = (Arc::clone(self), name.clone());
        blocking(move || Ok(inner.registry.update(&name, change).map(drop)?)).await
    }

    async fn set(self: &Arc<Self>, name: &InstanceName, change: SpecChange) -> Result<(), InstanceError> {
        let (turn, record, _) = self.turn(name, Command::Set).await?;
        turn.show(InstanceState::Stopped);
        let mut spec = record.spec;
        match change {
            SpecChange::Cpus(cpus) => spec.cpus = cpus,
            SpecChange::Memory(memory) => spec.memory = memory,
            SpecChange::Disk(disk) => spec.disk = disk,
        }
        if spec.disk < record.spec.disk {
            return Err(InstanceError::DiskShrinks { name: name.clone(), now: record.spec.disk });
        }
        if spec.disk > record.spec.disk {
            // First: a disk that is larger than is written down does no harm.
            let machine = Machine { spec, ..self.machine(name, &record) };
            self.driver.grow_disk(&machine).await.map_err(InstanceError::driver(name))?;
        }
        self.update(name, move |record| record.spec = spec).await
    }

    /// Whether it was there to be removed: it may have been taken out of the bin meanwhile.
    async fn purge(self: &Arc<Self>, name: &InstanceName) -> Result<bool, InstanceError> {
        let (inner, name) = (Arc::clone(self), name.clone());
        self.to_the_end(async move {
            let (turn, record, _) = match inner.turn(&name, Command::Delete).await {
                Err(error) if error.is_missing() => return Ok(false),
                found => found?,
            };
            if !record.is_deleted {
                return Ok(false);
            }
            inner.remove(&turn, &name, &record).await.map(|()| true)
        })
        .await
    }

    /// Removes an instance with its machine.
    pub(super) async fn remove(
        self: &Arc<Self>,
        turn: &Turn,
        name: &InstanceName,
        record: &Record,
    ) -> Result<(), InstanceError> {
        turn.show(InstanceState::Deleted);
        self.driver.delete(&self.machine(name, record)).await.map_err(InstanceError::driver(name))?;
        let (inner, name) = (Arc::clone(self), name.clone());
        blocking(move || Ok(inner.registry.remove(&name)?)).await?;
        self.forget(record.id);
        Ok(())
    }

    /// Waits for a guest beside all else.
    pub(super) fn boot(&self, machine: Machine, state: InstanceState) -> Boot {
        let (outcome, seen) = watch::channel(None);
        let driver = Arc::clone(&self.driver);
        let waiting = tokio::spawn(async move {
            let up = driver.reachable(&machine).await.map_err(|error| error.to_string());
            // That nobody waits is no fault.
            let _ = outcome.send(Some(up));
        });
        Boot { state, outcome: seen, _waiting: AbortOnDropHandle::new(waiting) }
    }

    /// Waits until a guest is up, if it is not.
    pub(super) async fn up(&self, record: &Record, timeout: Option<Duration>) -> BootOutcome {
        let Some(mut outcome) = self.entry(record.id).outcome() else { return BootOutcome::Yes };
        let wait = async {
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Err(reason))) => BootOutcome::Ended(reason.clone()),
                Ok(_) => BootOutcome::Yes,
                Err(_) => BootOutcome::Stopped,
            }
        };
        tokio::time::timeout(timeout.unwrap_or(self.limits.boot), wait)
            .await
            .unwrap_or(BootOutcome::NotInTime)
    }
}
