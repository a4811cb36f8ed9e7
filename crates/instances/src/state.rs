//! The states of an instance, and what each command does in each: one table.

use std::fmt;

use thiserror::Error;

use crate::InstanceName;

/// What an instance does, in the stock service's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It is up.
    Running,
    /// Its machine runs; its guest does not answer yet.
    Starting,
    /// As `Starting`, after a restart.
    Restarting,
    /// It is off.
    Stopped,
    /// It is off, and in the bin.
    Deleted,
    /// Its state is being written to its disk.
    Suspending,
    /// It is off, and will go on where it was.
    Suspended,
    /// It is up, and will be stopped later.
    DelayedShutdown,
    /// Its machine does not answer.
    Unknown,
}

/// What is wanted of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `start`.
    Start,
    /// `stop`.
    Stop,
    /// `stop --time`.
    StopLater,
    /// `stop --cancel`.
    CancelStop,
    /// `stop --force`.
    ForceStop,
    /// `restart`.
    Restart,
    /// `suspend`.
    Suspend,
    /// `delete`.
    Delete,
    /// `recover`.
    Recover,
    /// `set local.<instance>.…`.
    Set,
    /// `exec`, `shell` and `transfer`.
    Connect,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is as it is wanted.
    Nothing,
    /// The guest is waited for.
    Await,
    Boot,
    Resume,
    /// The shutdown that was to come is called off.
    KeepRunning,
    Shutdown,
    ShutdownLater,
    PowerOff,
    Restart,
    Suspend,
    Discard,
    Restore,
    Set,
    Connect,
}

/// A command that an instance's state does not allow.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}", self.words())]
pub struct RefusedCommand {
    name: InstanceName,
    why: RefusalReason,
}

/// Why a state does not allow a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    Deleted,
    NotRunning,
    NotUp,
    Suspending,
    Suspended,
    NotStopped,
    Unknown,
}

impl InstanceState {
    /// What `command` is to do in this state.
    pub(crate) fn action(self, command: Command) -> Result<Action, RefusalReason> {
        use Command::{
            CancelStop, Connect, Delete, ForceStop, Recover, Restart, Set, Start, Stop, StopLater, Suspend,
        };
        use InstanceState::{
            DelayedShutdown, Deleted, Restarting, Running, Starting, Stopped, Suspended, Suspending, Unknown,
        };

        Ok(match (self, command) {
            (Deleted, Recover) => Action::Restore,
            (Deleted, Delete) | (_, Recover) => Action::Nothing,
            (Deleted, _) => return Err(RefusalReason::Deleted),
            (_, Delete) => Action::Discard,

            (DelayedShutdown, Start | CancelStop) => Action::KeepRunning,
            (_, CancelStop) => Action::Nothing,

            (Stopped, Start) => Action::Boot,
            (Suspended, Start) => Action::Resume,
            (Running | Starting | Restarting, Start) => Action::Await,

            (Stopped, Stop | StopLater | ForceStop) => Action::Nothing,
            (_, ForceStop) => Action::PowerOff,
            (Running | Starting | Restarting | DelayedShutdown, Stop) => Action::Shutdown,
            (Running | Starting | Restarting | DelayedShutdown, StopLater) => Action::ShutdownLater,

            (Running | Starting | Restarting | DelayedShutdown, Restart) => Action::Restart,

            (Running | DelayedShutdown, Suspend) => Action::Suspend,
            (Suspended, Suspend) => Action::Nothing,

            (Running | DelayedShutdown, Connect) => Action::Connect,

            (Stopped, Set) => Action::Set,
            (_, Set) => return Err(RefusalReason::NotStopped),

            (Unknown, _) => return Err(RefusalReason::Unknown),
            (Suspending, _) => return Err(RefusalReason::Suspending),
            (Suspended, Stop | StopLater) => return Err(RefusalReason::Suspended),
            (Starting | Restarting, Suspend | Connect) => return Err(RefusalReason::NotUp),
            (Stopped | Suspended, Restart | Suspend | Connect) => return Err(RefusalReason::NotRunning),
        })
    }
}

impl fmt::Display for InstanceState {
    /// As `list` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "Running",
            Self::Starting => "Starting",
            Self::Restarting => "Restarting",
            Self::Stopped => "Stopped",
            Self::Deleted => "Deleted",
            Self::Suspending => "Suspending",
            Self::Suspended => "Suspended",
            Self::DelayedShutdown => "Delayed Shutdown",
            Self::Unknown => "Unknown",
        })
    }
}

impl RefusedCommand {
    pub(crate) fn new(name: &InstanceName, why: RefusalReason) -> Self {
        Self { name: name.clone(), why }
    }

    /// Whether it is because the instance is in the bin: the stock service has a code for that.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.why == RefusalReason::Deleted
    }

    fn words(&self) -> String {
        let name = &self.name;
        match self.why {
            RefusalReason::Deleted => {
                format!("Instance '{name}' is deleted. 'multipass recover {name}' brings it back")
            }
            RefusalReason::NotRunning => {
                format!("instance \"{name}\" is not running; 'multipass start {name}' starts it")
            }
            RefusalReason::NotUp => format!("instance \"{name}\" is still starting; try again when it is up"),
            RefusalReason::Suspending => {
                format!("instance \"{name}\" is being suspended; try again when that is done")
            }
            RefusalReason::Suspended => format!(
                "instance \"{name}\" is suspended; 'multipass start {name}' lets it go on, and 'multipass stop --force {name}' forgets what it was doing"
            ),
            RefusalReason::NotStopped => {
                format!("instance \"{name}\" must be stopped for this; 'multipass stop {name}' stops it")
            }
            RefusalReason::Unknown => format!(
                "instance \"{name}\" does not answer; 'multipass stop --force {name}' ends it, and the daemon's log says more"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [InstanceState; 9] = [
        InstanceState::Running,
        InstanceState::DelayedShutdown,
        InstanceState::Starting,
        InstanceState::Restarting,
        InstanceState::Stopped,
        InstanceState::Suspending,
        InstanceState::Suspended,
        InstanceState::Unknown,
        InstanceState::Deleted,
    ];

    /// Every command in every state.
    #[rustfmt::skip]
    const TABLE: [(Command, &str); 11] = [
        //                    Running  Delayed       Starting       Restarting     Stopped    Suspending Suspended  Unknown  Deleted
        (Command::Start,      "Await   KeepRunning   Await          Await          Boot       !Suspending Resume    !Unknown !Deleted"),
        (Command::Stop,       "Shutdown Shutdown     Shutdown       Shutdown       Nothing    !Suspending !Suspended !Unknown !Deleted"),
        (Command::StopLater,  "ShutdownLater ShutdownLater ShutdownLater ShutdownLater Nothing !Suspending !Suspended !Unknown !Deleted"),
        (Command::CancelStop, "Nothing KeepRunning   Nothing        Nothing        Nothing    Nothing    Nothing    Nothing  !Deleted"),
        (Command::ForceStop,  "PowerOff PowerOff     PowerOff       PowerOff       Nothing    PowerOff   PowerOff   PowerOff !Deleted"),
        (Command::Restart,    "Restart Restart       Restart        Restart        !NotRunning !Suspending !NotRunning !Unknown !Deleted"),
        (Command::Suspend,    "Suspend Suspend       !NotUp         !NotUp         !NotRunning !Suspending Nothing  !Unknown !Deleted"),
        (Command::Delete,     "Discard Discard       Discard        Discard        Discard    Discard    Discard    Discard  Nothing"),
        (Command::Recover,    "Nothing Nothing       Nothing        Nothing        Nothing    Nothing    Nothing    Nothing  Restore"),
        (Command::Set,        "!NotStopped !NotStopped !NotStopped  !NotStopped    Set        !NotStopped !NotStopped !NotStopped !Deleted"),
        (Command::Connect,    "Connect Connect       !NotUp         !NotUp         !NotRunning !Suspending !NotRunning !Unknown !Deleted"),
    ];

    #[test]
    fn each_command_does_in_each_state_what_the_table_says() {
        for (command, row) in TABLE {
            let found = STATES.map(|state| match state.action(command) {
                Ok(action) => format!("{action:?}"),
                Err(why) => format!("!{why:?}"),
            });
            assert_eq!(found.join(" "), row.split_whitespace().collect::<Vec<_>>().join(" "), "{command:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_instance_and_the_way_out() {
        let name: InstanceName = "web".parse().unwrap();
        for (why, start, way_out) in [
            (RefusalReason::Deleted, "Instance 'web' is deleted.", "multipass recover web"),
            (RefusalReason::NotRunning, "instance \"web\" is not running", "multipass start web"),
            (RefusalReason::NotUp, "instance \"web\" is still starting", "try again"),
            (RefusalReason::Suspending, "instance \"web\" is being suspended", "try again"),
            (RefusalReason::Suspended, "instance \"web\" is suspended", "multipass stop --force web"),
            (RefusalReason::NotStopped, "instance \"web\" must be stopped", "multipass stop web"),
            (RefusalReason::Unknown, "instance \"web\" does not answer", "multipass stop --force web"),
        ] {
            let refused = RefusedCommand::new(&name, why);
            let words = refused.to_string();
            assert!(words.starts_with(start) && words.contains(way_out), "{words}");
            assert_eq!(refused.is_deleted(), why == RefusalReason::Deleted);
        }
    }

    #[test]
    fn states_are_shown_in_the_stock_services_words() {
        assert_eq!(
            STATES.map(|state| state.to_string()),
            [
                "Running",
                "Delayed Shutdown",
                "Starting",
                "Restarting",
                "Stopped",
                "Suspending",
                "Suspended",
                "Unknown",
                "Deleted"
            ]
        );
    }
}
