//! A QEMU that runs: the connection to it, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use instances::{DriverError, Ended, InstanceId};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::driver::Shared;
use crate::error::{blocking, failed};
use crate::files::Files;
use crate::platform;
use crate::qmp::commands::{Continue, QueryStatus, Quit};
use crate::qmp::{End, Qmp};

const END: &str = "end the virtual machine";

/// Between the end of what QEMU says and its own, while it closes its disks.
const TO_CLOSE: Duration = Duration::from_secs(10);
/// Between two attempts to let a machine go on whose disk could not be written.
const FOR_ROOM: Duration = Duration::from_secs(5);
/// Between two looks at a process that is not our child.
const LOOK: Duration = Duration::from_millis(25);

/// A QEMU that runs, or ran.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) qmp: Qmp<UnixStream>,
    /// Where the guest's SSH port is, on this host's loopback.
    pub(crate) port: u16,
    /// Whether we want it to end.
    asked: AtomicBool,
    over: watch::Receiver<Option<Over>>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// It has ended; why, for people.
    Ended(String),
    /// It no longer speaks to us, and has not ended.
    Lost,
}

/// The process of a QEMU.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: InstanceId,
    pub(crate) number: i32,
    /// The child that it is, unless an earlier daemon started it, and what it says of itself.
    pub(crate) child: Option<(Child, JoinHandle<String>)>,
}

impl Running {
    /// Watches over a QEMU from now on.
    pub(crate) fn watch(
        qmp: Qmp<UnixStream>,
        port: u16,
        process: Process,
        files: Files,
        shared: &Shared,
    ) -> Arc<Self> {
        let (tell, over) = watch::channel(None);
        let running = Arc::new(Self { qmp, port, asked: AtomicBool::new(false), over });
        let supervise = supervise(Arc::clone(&running), process, files, tell, shared.ended.clone());
        let mut here = shared.here.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = supervise => {}
                // Nothing is ever sent: it fails when the driver is dropped.
                _ = here.changed() => {}
            }
        });
        running
    }

    /// What became of it, if it is over.
    pub(crate) fn over(&self) -> Option<Over> {
        self.over.borrow().clone()
    }

    /// Waits until it is over.
    pub(crate) async fn until_over(&self) -> Over {
        let mut over = self.over.clone();
        let over = over.wait_for(Option::is_some).await;
        over.ok().and_then(|over| over.clone()).unwrap_or(Over::Lost)
    }

    /// Whether its end from now on is what we asked for, and so told to nobody.
    pub(crate) fn expect_end(&self, expected: bool) {
        self.asked.store(expected, Ordering::SeqCst);
    }

    /// Ends it: by a command, which writes its disk, else by killing it.
    ///
    /// # Errors
    /// It has not ended even so.
    pub(crate) async fn quit(&self, files: &Files, id: InstanceId) -> Result<(), DriverError> {
        self.expect_end(true);
        if self.over().is_none() {
            let quit = async {
                // That it ends before it answers is what is wanted.
                let _ = self.qmp.run(Quit {}).await;
                self.until_over().await
            };
            if let Ok(Over::Ended(_)) = timeout(TO_CLOSE, quit).await {
                return Ok(());
            }
        }
        kill(files, id).await?;
        // What it has left must be removed before there may be another.
        let mut over = self.over.clone();
        let ended = over.wait_for(|over| matches!(over, Some(Over::Ended(_))));
        match timeout(TO_CLOSE, ended).await {
            // Dropped by a runtime that is ending, at the worst.
            Ok(_) => Ok(()),
            Err(_) => {
                Err(failed(END)("its process does not end, though it was killed; root can end it".to_owned()))
            }
        }
    }
}

/// Kills the machine's QEMU, if it runs, and waits for its end.
///
/// # Errors
/// It has not ended, which takes a fault of the host.
pub(crate) async fn kill(files: &Files, id: InstanceId) -> Result<(), DriverError> {
    let look = files.clone();
    let process = blocking(END, move || look.pid()).await?;
    let Some(process) = process else { return Ok(()) };
    platform::kill(process, id);
    let gone = async {
        while platform::runs(process, id) {
            sleep(LOOK).await;
        }
    };
    timeout(TO_CLOSE, gone)
        .await
        .map_err(|_| failed(END)(format!("process {process} does not end, though it was killed")))?;
    let files = files.clone();
    // There may be another one by now, whose files they are.
    blocking(END, move || match files.pid()? {
        Some(now) if now != process => Ok(()),
        _ => files.clear_run(),
    })
    .await
}

async fn supervise(
    running: Arc<Running>,
    mut process: Process,
    files: Files,
    tell: watch::Sender<Option<Over>>,
    ended: broadcast::Sender<Ended>,
) {
    let id = process.id;
    let end = tokio::select! {
        end = running.qmp.end() => end,
        never = go_on_when_there_is_room(&running, id) => match never {},
    };
    if timeout(TO_CLOSE, process.gone()).await.is_err() {
        tracing::warn!(%id, "a virtual machine no longer answers, and has not ended");
        tell.send_replace(Some(Over::Lost));
        process.gone().await;
    }
    let why = match end {
        End::GuestShutDown => "its guest has shut down".to_owned(),
        End::Ended => process.why().await,
    };
    let cleared = tokio::task::spawn_blocking(move || files.clear_run()).await;
    if let Ok(Err(error)) = cleared {
        tracing::warn!(%id, %error, "what a virtual machine has left cannot be removed");
    }
    tell.send_replace(Some(Over::Ended(why.clone())));
    if !running.asked.load(Ordering::SeqCst) {
        // Nobody need be interested.
        let _ = ended.send(Ended { id, reason: why });
    }
}

/// QEMU halts a machine that cannot write its disk because the host's is full: no write is lost. It is let go
/// on again and again, until there is room. Never ends by itself.
async fn go_on_when_there_is_room(running: &Running, id: InstanceId) -> std::convert::Infallible {
    loop {
        running.qmp.halted().await;
        let mut told = false;
        loop {
            sleep(FOR_ROOM).await;
            match running.qmp.run(QueryStatus {}).await {
                Ok(status) if status.is_halted_by_its_disk() => {}
                Ok(_) => break,
                // If it has ended, that will be noticed.
                Err(_) => continue,
            }
            if !told {
                tracing::warn!(%id, "a virtual machine is halted until there is room on the host's disk");
                told = true;
            }
            if let Err(error) = running.qmp.run(Continue {}).await {
                tracing::warn!(%id, %error, "a virtual machine did not resume");
            }
        }
    }
}

impl Process {
    /// Waits until it has ended. Cancel-safe.
    async fn gone(&mut self) {
        if let Some((child, _)) = &mut self.child
            && child.wait().await.is_ok()
        {
            return;
        }
        while platform::runs(self.number, self.id) {
            sleep(LOOK).await;
        }
    }

    /// Why it has ended, as far as anybody knows.
    async fn why(&mut self) -> String {
        let Some((child, said)) = &mut self.child else { return "its QEMU has ended".into() };
        let status = child.wait().await.map_or_else(|_| "unknown".into(), |status| status.to_string());
        // A process of QEMU's own could hold it open, if there could be one.
        let said = timeout(Duration::from_secs(1), said).await.ok().and_then(Result::ok).unwrap_or_default();
        format!("its QEMU has ended ({status}) {said}").trim_end().to_owned()
    }
}
