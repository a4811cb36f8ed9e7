//! What is being done with one machine.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use instances::{DriverError, Machine};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::driver::Shared;
use crate::error::failed;
use crate::files::Files;
use crate::running::{Over, Running, kill};

/// How long force waits for what is being done with a machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the driver holds for a machine.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// One thing at a time is done with a machine. A caller that has gone away may have left something undone.
    turn: tokio::sync::Mutex<()>,
    /// Whether whoever has the turn is to begin nothing more: its machine is about to be ended by force.
    forced: AtomicBool,
    running: Mutex<Option<Arc<Running>>>,
}

impl Slot {
    /// The QEMU that was started or found last, whether or not it still runs.
    pub(crate) fn last(&self) -> Option<Arc<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The QEMU that runs and speaks to us.
    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        self.last().filter(|running| running.over().is_none())
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.forced.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, running: Arc<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }
}

/// Something to be done with a machine, and all that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) machine: Machine,
    pub(crate) files: Files,
}

impl Job {
    /// Does it to its end, also if the caller goes away: a QEMU that was started has to be watched over, and
    /// one that was asked to keep its state has to be ended.
    pub(crate) async fn finish<T, F>(self, work: impl FnOnce(Self) -> F) -> Result<T, DriverError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        let slot = Arc::clone(&self.slot);
        let work = work(self);
        joined(tokio::spawn(async move {
            let _turn = slot.turn.lock().await;
            work.await
        }))
        .await
    }

    /// As [`Self::finish`], by force. What is being done with the machine has a moment to end; then its QEMU is killed, and
    /// with it goes whatever is waited for: one that was taken over must not be able to draw that out.
    pub(crate) async fn finish_by_force<T, F>(self, work: impl FnOnce(Self) -> F) -> Result<T, DriverError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        let (slot, files, id) = (Arc::clone(&self.slot), self.files.clone(), self.machine.id);
        let work = work(self);
        joined(tokio::spawn(async move {
            let _turn = loop {
                if let Ok(turn) = timeout(PATIENCE, slot.turn.lock()).await {
                    break turn;
                }
                slot.forced.store(true, Ordering::SeqCst);
                if let Some(running) = slot.last() {
                    running.expect_end(true);
                }
                kill(&files, id).await?;
            };
            slot.forced.store(false, Ordering::SeqCst);
            work.await
        }))
        .await
    }

    /// The QEMU that runs.
    ///
    /// # Errors
    /// None does.
    pub(crate) fn running(&self) -> Result<Arc<Running>, DriverError> {
        let last = self.slot.last();
        match last.as_ref().map(|running| running.over()) {
            Some(None) => last.ok_or_else(|| DriverError::Ended("it does not run".into())),
            Some(Some(Over::Ended(why))) => Err(DriverError::Ended(why)),
            Some(Some(Over::Lost)) => Err(failed("reach the virtual machine")(
                "its QEMU no longer answers; 'multipass stop --force' ends it",
            )),
            None => Err(DriverError::Ended("it does not run".into())),
        }
    }
}

async fn joined<T>(done: JoinHandle<Result<T, DriverError>>) -> Result<T, DriverError> {
    done.await
        .unwrap_or_else(|panicked| Err(failed("finish what was asked of the virtual machine")(panicked)))
}
