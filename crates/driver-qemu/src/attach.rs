//! Finding a machine again that an earlier daemon started, in whatever it was interrupted.
//!
//! | there is a QEMU | `suspended.json` | so the daemon ended | what is done |
//! |---|---|---|---|
//! | no | no | | nothing: it is off |
//! | no | yes | | nothing: it is suspended |
//! | yes | no | while it ran, or before it was let run | it is let run |
//! | yes | yes | while suspending or resuming: it has not run since its state was kept | it is ended: suspended |

use instances::{DriverError, MachineState};

use crate::error::{blocking, failed};
use crate::forward;
use crate::job::Job;
use crate::platform;
use crate::qmp::commands::{Continue, QueryStatus};
use crate::running::Process;
use crate::suspended::Suspended;

const ATTACH: &str = "find the virtual machine again";

impl Job {
    /// Finds it, and tells its state.
    pub(crate) async fn reattach(self) -> Result<MachineState, DriverError> {
        let (files, id) = (self.files.clone(), self.machine.id);
        let process = blocking(ATTACH, move || {
            let process = files.pid()?.filter(|&process| platform::runs(process, id));
            if process.is_none() {
                files.clear_run()?;
            }
            Ok(process)
        });
        let process = process.await?;
        let suspended = self.suspended(ATTACH).await?.is_some();
        match (process, suspended) {
            (None, false) => Ok(MachineState::Off),
            (None, true) => Ok(MachineState::Suspended),
            (Some(process), suspended) => self.adopt(process, suspended).await,
        }
    }

    async fn adopt(&self, number: i32, suspended: bool) -> Result<MachineState, DriverError> {
        let qmp = self.greet().await?;
        let files = self.files.clone();
        let port = match blocking(ATTACH, move || files.port()).await? {
            Some(port) => port,
            None => {
                let (port, files) = (forward::add(&qmp).await?, self.files.clone());
                blocking(ATTACH, move || files.set_port(port)).await?;
                port
            }
        };
        let process = Process { id: self.machine.id, number, child: None };
        let running = self.watch(qmp, port, process).await;
        if suspended {
            running.quit(&self.files, self.machine.id).await?;
            return Ok(MachineState::Suspended);
        }
        if !running.qmp.run(QueryStatus {}).await.map_err(failed(ATTACH))?.running {
            running.qmp.run(Continue {}).await.map_err(failed(ATTACH))?;
        }
        Ok(MachineState::Running)
    }

    /// The state, by a quick look.
    pub(crate) async fn state(&self) -> MachineState {
        if self.slot.running().is_some() {
            return MachineState::Running;
        }
        let (files, id) = (self.files.clone(), self.machine.id);
        let looked = blocking(ATTACH, move || {
            if files.pid()?.is_some_and(|process| platform::runs(process, id)) {
                return Ok(MachineState::Unknown);
            }
            let suspended = Suspended::read(&files)?.is_some();
            Ok(if suspended { MachineState::Suspended } else { MachineState::Off })
        });
        looked.await.unwrap_or_else(|error| {
            tracing::warn!(%id, %error, "the state of a virtual machine cannot be told");
            MachineState::Unknown
        })
    }
}
