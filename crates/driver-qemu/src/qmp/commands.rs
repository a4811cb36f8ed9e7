//! The commands that this driver gives, with what QEMU answers. The names and shapes are those of QEMU's QMP
//! reference manual.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// So long a guest's memory may take to be written to its disk: QEMU answers nothing meanwhile.
const WHILE_SAVING: Duration = Duration::from_secs(15 * 60);

/// A command and its arguments.
pub(crate) trait Command: Serialize + Send + Sync {
    /// As QEMU calls it.
    const NAME: &'static str;
    /// What it answers.
    type Answer: DeserializeOwned + Send;
    /// How long QEMU may take to answer.
    const WITHIN: Duration = Duration::from_secs(20);
}

/// An answer that says no more than that it was done.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

macro_rules! plain {
    ($($(#[$doc:meta])* $command:ident $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub(crate) struct $command {}

        impl Command for $command {
            const NAME: &'static str = $name;
            type Answer = Done;
        }
    )*};
}

plain! {
    /// Ends the greeting.
    Capabilities "qmp_capabilities";
    /// Lets the processors run.
    Continue "cont";
    /// Halts the processors.
    Halt "stop";
    /// Presses the power button.
    PowerButton "system_powerdown";
    /// Ends QEMU, its disks written: the guest's power is cut.
    Quit "quit";
}

/// Whether the processors run.
#[derive(Debug, Serialize)]
pub(crate) struct QueryStatus {}

impl Command for QueryStatus {
    const NAME: &'static str = "query-status";
    type Answer = Status;
}

/// What [`QueryStatus`] answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// Whether the processors run.
    pub(crate) running: bool,
    /// More precisely.
    pub(crate) status: String,
}

impl Status {
    /// Whether it was halted because its disk could not be written.
    pub(crate) fn is_halted_by_its_disk(&self) -> bool {
        self.status == "io-error"
    }
}

/// A line of the monitor for people, for what no other command does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct HumanMonitor {
    pub(crate) command_line: String,
}

impl Command for HumanMonitor {
    const NAME: &'static str = "human-monitor-command";
    type Answer = String;
}

/// A property of one of QEMU's objects that is text.
#[derive(Debug, Serialize)]
pub(crate) struct GetText {
    pub(crate) path: &'static str,
    pub(crate) property: &'static str,
}

impl Command for GetText {
    const NAME: &'static str = "qom-get";
    type Answer = String;
}

/// Starts a job that writes the machine's state into a disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SaveSnapshot {
    pub(crate) job_id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) vmstate: &'static str,
    pub(crate) devices: [&'static str; 1],
}

impl Command for SaveSnapshot {
    const NAME: &'static str = "snapshot-save";
    type Answer = Done;
    const WITHIN: Duration = WHILE_SAVING;
}

/// Starts a job that removes a machine's state from a disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DeleteSnapshot {
    pub(crate) job_id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) devices: [&'static str; 1],
}

impl Command for DeleteSnapshot {
    const NAME: &'static str = "snapshot-delete";
    type Answer = Done;
    const WITHIN: Duration = WHILE_SAVING;
}

/// How the jobs go.
#[derive(Debug, Serialize)]
pub(crate) struct QueryJobs {}

impl Command for QueryJobs {
    const NAME: &'static str = "query-jobs";
    type Answer = Vec<Job>;
    const WITHIN: Duration = WHILE_SAVING;
}

/// What [`QueryJobs`] tells of one.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// `concluded` at its end, whether it was done or failed.
    pub(crate) status: String,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// Forgets a job that has ended.
#[derive(Debug, Serialize)]
pub(crate) struct DismissJob {
    pub(crate) id: &'static str,
}

impl Command for DismissJob {
    const NAME: &'static str = "job-dismiss";
    type Answer = Done;
}
