//! Ending a machine: by its guest, by force, or with its state kept.

use std::ffi::OsStr;
use std::time::Duration;

use instances::{DriverError, Stop};
use tokio::time::{Instant, timeout_at};

use crate::error::{blocking, failed};
use crate::job::Job;
use crate::qmp::commands::{Continue, GetText, Halt, PowerButton};
use crate::running::{Over, Running, kill};
use crate::suspended::{MachineType, Suspended, TAG};
use crate::{qemu_img, snapshot};

const STOP: &str = "stop the virtual machine";
const SUSPEND: &str = "suspend the virtual machine";

/// A guest that is just starting does not notice the power button; so it is pressed again.
const PRESS_AGAIN: Duration = Duration::from_secs(3);

impl Job {
    /// Ends the machine.
    pub(crate) async fn stop(self, how: Stop) -> Result<(), DriverError> {
        match how {
            Stop::Shutdown { within } => self.shut_down(within).await,
            Stop::Force => self.cut_power().await,
        }
    }

    /// Has the guest shut down, and starts it again.
    pub(crate) async fn restart(self, within: Duration) -> Result<(), DriverError> {
        self.shut_down(within).await?;
        if self.slot.is_forced() {
            return Err(DriverError::Ended("it was ended by force".into()));
        }
        self.start().await
    }

    /// Keeps the machine's state, and ends it.
    pub(crate) async fn suspend(self) -> Result<(), DriverError> {
        let running = self.running()?;
        let kept = async {
            running.qmp.run(Halt {}).await.map_err(failed(SUSPEND))?;
            snapshot::save(&running.qmp).await.map_err(failed(SUSPEND))?;
            let name = running.qmp.run(GetText { path: "/machine", property: "type" }).await;
            let machine_type = MachineType::of_object(&name.map_err(failed(SUSPEND))?);
            let suspended = Suspended { machine_type: machine_type.map_err(failed(SUSPEND))? };
            let files = self.files.clone();
            blocking(SUSPEND, move || suspended.write(&files)).await
        };
        if let Err(error) = kept.await {
            // If it can: a QEMU that has ended is told as such.
            if let Err(error) = running.qmp.run(Continue {}).await {
                tracing::warn!(id = %self.machine.id, %error, "a virtual machine did not resume");
            }
            return Err(error);
        }
        running.quit(&self.files, self.machine.id).await
    }

    /// Ends the machine, in whatever state it is.
    pub(crate) async fn cut_power(&self) -> Result<(), DriverError> {
        match self.slot.last() {
            Some(running) => running.quit(&self.files, self.machine.id).await?,
            None => kill(&self.files, self.machine.id).await?,
        }
        self.sync_disk().await?;
        if self.suspended(STOP).await.is_ok_and(|suspended| suspended.is_none()) {
            return Ok(());
        }
        let files = self.files.clone();
        blocking(STOP, move || Suspended::forget(&files)).await?;
        if let Err(error) = self.delete_state().await {
            tracing::warn!(id = %self.machine.id, %error, "a state that is forgotten still takes room");
        }
        Ok(())
    }

    async fn shut_down(&self, within: Duration) -> Result<(), DriverError> {
        let running = self.running()?;
        let deadline = Instant::now() + within;
        running.expect_end(true);
        let over = loop {
            if let Err(error) = press(&running).await
                && running.over().is_none()
            {
                running.expect_end(false);
                return Err(failed(STOP)(error));
            }
            let next = deadline.min(Instant::now() + PRESS_AGAIN);
            match timeout_at(next, running.until_over()).await {
                Ok(over) => break over,
                Err(_) if Instant::now() >= deadline => {
                    running.expect_end(false);
                    return Err(DriverError::TimedOut);
                }
                Err(_) => {}
            }
        };
        match over {
            Over::Ended(_) => self.sync_disk().await,
            Over::Lost => Err(failed(STOP)("its QEMU no longer answers; 'multipass stop --force' ends it")),
        }
    }

    /// What QEMU has written is then on the disk, not only in the host's memory.
    async fn sync_disk(&self) -> Result<(), DriverError> {
        let disk = self.files.disk();
        let synced = blocking(STOP, move || match qemu_img::open(&disk) {
            // A machine that was never prepared.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            disk => disk?.sync_all(),
        });
        synced.await
    }

    async fn delete_state(&self) -> Result<(), DriverError> {
        let path = self.files.disk();
        let disk = blocking(STOP, move || qemu_img::open(&path)).await?;
        let arguments =
            |disk: &OsStr| vec!["snapshot".into(), "-d".into(), TAG.into(), qemu_img::alone(disk)];
        self.qemu_img(STOP, disk, arguments).await
    }
}

async fn press(running: &Running) -> Result<(), crate::qmp::QmpError> {
    running.qmp.run(PowerButton {}).await.map(drop)
}
