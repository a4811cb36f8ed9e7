//! Starting a machine, from its disk or with a kept state.

use std::sync::Arc;
use std::time::Duration;

use instances::DriverError;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::arguments::Begin;
use crate::error::{blocking, failed, with_what_helps};
use crate::files::{QMP_SOCKET, SERIAL_SOCKET};
use crate::job::Job;
use crate::launch::{launch, said};
use crate::qmp::Qmp;
use crate::qmp::commands::{Continue, QueryStatus};
use crate::running::{Process, Running};
use crate::suspended::{Suspended, TAG};
use crate::{forward, serial, snapshot, sockets};

const START: &str = "start the virtual machine";
/// So long a QEMU may take to end by itself that no longer speaks to us.
const TO_END: Duration = Duration::from_secs(1);
const RESUME: &str = "resume the virtual machine";

impl Job {
    /// Starts the machine from its disk.
    pub(crate) async fn start(self) -> Result<(), DriverError> {
        if self.suspended(START).await?.is_some() {
            return Err(failed(START)("it is suspended, and would lose its state"));
        }
        let running = self.begin(START, None).await?;
        self.go_on(START, &running).await
    }

    /// Goes on with the kept state.
    pub(crate) async fn resume(self) -> Result<(), DriverError> {
        let Some(suspended) = self.suspended(RESUME).await? else {
            return Err(failed(RESUME)("it is not suspended"));
        };
        let running = self.begin(RESUME, Some(suspended)).await?;
        // Before the guest runs: from then on the state is of another time than the disk.
        let files = self.files.clone();
        if let Err(error) = blocking(RESUME, move || Suspended::forget(&files)).await {
            running.quit(&self.files, self.machine.id).await?;
            return Err(error);
        }
        self.go_on(RESUME, &running).await?;
        if let Err(error) = snapshot::delete(&running.qmp).await {
            tracing::warn!(id = %self.machine.id, %error, "a state that is used up still takes room");
        }
        Ok(())
    }

    pub(crate) async fn suspended(&self, what: &str) -> Result<Option<Suspended>, DriverError> {
        let files = self.files.clone();
        blocking(what, move || Suspended::read(&files)).await
    }

    /// Lets the processors run, and ends QEMU if that fails.
    async fn go_on(&self, what: &str, running: &Running) -> Result<(), DriverError> {
        let Err(error) = running.qmp.run(Continue {}).await else { return Ok(()) };
        running.quit(&self.files, self.machine.id).await?;
        Err(failed(what)(error))
    }

    /// Starts QEMU and watches over it; the processors are halted yet.
    async fn begin(&self, what: &str, suspended: Option<Suspended>) -> Result<Arc<Running>, DriverError> {
        if self.slot.running().is_some() {
            return Err(failed(what)("it runs already"));
        }
        let (files, id) = (self.files.clone(), self.machine.id);
        let job = self.clone();
        let mut child = blocking(what, move || {
            if let Some(process) = job.files.pid()?
                && crate::platform::runs(process, id)
            {
                let why = format!("process {process} runs it already; 'multipass stop --force' ends that");
                return Err(std::io::Error::other(why));
            }
            let begin = suspended.as_ref().map_or(Begin::Boot, |suspended| Begin::State {
                tag: TAG,
                machine_type: suspended.machine_type.as_str(),
            });
            launch(&job.shared.programs, &job.machine, job.shared.accelerator, begin)
        })
        .await?;
        let said = child.stderr.take().map(|stderr| tokio::spawn(said(stderr)));
        let number = child.id().and_then(|number| i32::try_from(number).ok());
        let (Some(said), Some(number)) = (said, number) else {
            return Err(self.give_up(what, child, None, "it exited immediately").await);
        };
        let connected = async {
            let qmp = self.greet().await?;
            let port = forward::add(&qmp).await?;
            let remember = files.clone();
            blocking(what, move || remember.set_port(port)).await?;
            Ok::<_, DriverError>((qmp, port))
        };
        match connected.await {
            Ok((qmp, port)) => {
                let process = Process { id, number, child: Some((child, said)) };
                Ok(self.watch(qmp, port, process).await)
            }
            Err(error) => Err(self.give_up(what, child, Some(said), error).await),
        }
    }

    /// Takes a QEMU over that has been connected to.
    pub(crate) async fn watch(
        &self,
        qmp: Qmp<tokio::net::UnixStream>,
        port: u16,
        process: Process,
    ) -> Arc<Running> {
        let (id, log) = (self.machine.id, self.files.serial_log());
        match sockets::connect(self.files.directory(), SERIAL_SOCKET).await {
            Ok(guest) => drop(tokio::spawn(async move {
                if let Err(error) = serial::keep(guest, log).await {
                    tracing::warn!(%id, %error, "the log of a guest's serial console has stopped");
                }
            })),
            Err(error) => tracing::warn!(%id, %error, "there is no log of a guest's serial console"),
        }
        let running = Running::watch(qmp, port, process, self.files.clone(), &self.shared);
        self.slot.set(Arc::clone(&running));
        running
    }

    /// Connects to a QEMU.
    ///
    /// # Errors
    /// It does not listen, does not answer, or is no virtual machine.
    pub(crate) async fn greet(&self) -> Result<Qmp<tokio::net::UnixStream>, DriverError> {
        const WHAT: &str = "reach the virtual machine's QEMU";
        let stream = sockets::connect(self.files.directory(), QMP_SOCKET).await.map_err(failed(WHAT))?;
        let qmp = Qmp::greet(stream).await.map_err(failed(WHAT))?;
        qmp.run(QueryStatus {}).await.map_err(failed(WHAT))?;
        Ok(qmp)
    }

    /// Ends a QEMU that did not become a running machine, and says why it did not.
    async fn give_up(
        &self,
        what: &str,
        mut child: Child,
        said: Option<JoinHandle<String>>,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> DriverError {
        let by_itself = timeout(TO_END, child.wait()).await.ok().and_then(Result::ok);
        let _ = child.start_kill();
        let status = child.wait().await;
        let said = match said {
            Some(said) => said.await.unwrap_or_default(),
            None => String::new(),
        };
        let files = self.files.clone();
        if let Err(error) = blocking(what, move || files.clear_run()).await {
            tracing::warn!(id = %self.machine.id, %error, "what a virtual machine has left cannot be removed");
        }
        tracing::debug!(id = %self.machine.id, ?status, "QEMU has not become a virtual machine");
        // What QEMU says itself is nearer to the cause than what we miss.
        match by_itself {
            _ if !said.is_empty() => failed(what)(with_what_helps(said)),
            Some(status) => failed(what)(format!(
                "QEMU exited immediately ({status}); if the host is short of memory, give the instance less"
            )),
            None => failed(what)(error),
        }
    }
}
