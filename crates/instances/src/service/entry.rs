//! What is known of an instance only as long as the daemon runs: whose turn it is, and what is under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::InstanceError;
use crate::{InstanceState, MachineState};

/// What is known of one instance.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// One command at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// What a command is making of it.
    busy: Option<InstanceState>,
    /// Its guest is waited for.
    boot: Option<Boot>,
    /// The shutdown that is to come.
    shutdown: Option<AbortOnDropHandle<()>>,
    /// Breaks off a wait for the guest to shut down.
    interrupt: CancellationToken,
}

/// A guest that is being waited for.
#[derive(Debug)]
pub(super) struct Boot {
    /// `Starting` or `Restarting`.
    pub(super) state: InstanceState,
    /// Says whether it is up, or why it will not be.
    pub(super) outcome: watch::Receiver<Option<Result<(), String>>>,
    /// Waits as long as this is kept.
    pub(super) _waiting: AbortOnDropHandle<()>,
}

/// The turn of one command. While it is kept, the instance is shown in the state that was set.
#[derive(Debug)]
pub(super) struct Turn {
    entry: Arc<Entry>,
    _turn: OwnedMutexGuard<()>,
}

impl Entry {
    /// Waits for a turn.
    pub(super) async fn turn(self: &Arc<Self>) -> Turn {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.now().interrupt = CancellationToken::new();
        Turn { entry: Arc::clone(self), _turn: turn }
    }

    /// Has whoever waits for the guest to shut down stop waiting.
    pub(super) fn interrupt(&self) {
        self.now().interrupt.cancel();
    }

    /// What the instance does, from what its machine does.
    pub(super) fn state(&self, machine: MachineState) -> InstanceState {
        let now = self.now();
        if let Some(busy) = now.busy {
            return busy;
        }
        match machine {
            MachineState::Off => InstanceState::Stopped,
            MachineState::Suspended => InstanceState::Suspended,
            MachineState::Unknown => InstanceState::Unknown,
            MachineState::Running => match (&now.boot, &now.shutdown) {
                (_, Some(_)) => InstanceState::DelayedShutdown,
                // Not any more once it is up.
                (Some(boot), None) if boot.outcome.borrow().is_none() => boot.state,
                _ => InstanceState::Running,
            },
        }
    }

    /// The outcome of the guest's coming up, if it is waited for.
    pub(super) fn outcome(&self) -> Option<watch::Receiver<Option<Result<(), String>>>> {
        self.now().boot.as_ref().map(|boot| boot.outcome.clone())
    }

    /// Calls off a shutdown that is to come.
    pub(super) fn keep_running(&self) {
        self.now().shutdown = None;
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// What the instance is shown as, until the turn ends. A guest that was waited for is no longer, nor is a
    /// shutdown to come.
    pub(super) fn show(&self, state: InstanceState) {
        let mut now = self.entry.now();
        now.busy = Some(state);
        (now.boot, now.shutdown) = (None, None);
    }

    pub(super) fn wait_for(&self, boot: Boot) {
        self.entry.now().boot = Some(boot);
    }

    pub(super) fn shut_down_later(&self, shutdown: AbortOnDropHandle<()>) {
        self.entry.now().shutdown = Some(shutdown);
    }

    /// Does what takes time, a guest's shutdown or the keeping of its state, unless somebody wants it to end.
    ///
    /// # Errors
    /// Somebody does.
    pub(super) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, InstanceError> {
        let interrupted = self.entry.now().interrupt.clone();
        tokio::select! {
            done = work => Ok(done),
            () = interrupted.cancelled() => Err(InstanceError::Cancelled),
        }
    }

    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.entry.now().busy = None;
    }
}
