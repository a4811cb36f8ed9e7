//! A command that has failed, as the user is told of it.

use std::process::ExitCode;

use super::Error;
use crate::connection::{ADDRESS_VARIABLE, Remote, SelectedRemote, ServiceSource};
use crate::terminal::output;

/// A command that has failed.
pub(crate) struct Failure {
    /// The command's name.
    pub(crate) command: &'static str,
    /// Which service it was for.
    pub(crate) target: Target,
    /// Why.
    pub(crate) error: Error,
}

/// Which service a command was for.
pub(crate) enum Target {
    /// This machine's, or the one at the address in the environment.
    Default,
    /// That remote.
    Remote(SelectedRemote),
    /// One that was to become a remote.
    NewRemote,
}

impl Failure {
    /// Of a command for the service that is usual.
    pub(crate) fn of(command: &'static str, error: Error) -> Box<Self> {
        Box::new(Self { command, target: Target::Default, error })
    }

    /// Tells what happened, and on which remote, then what to do about it on a line of its own.
    pub(crate) fn report(&self) -> ExitCode {
        let Self { command, target, error } = self;
        let (on, elsewhere) = match target {
            Target::Default => (String::new(), format!("set {ADDRESS_VARIABLE}")),
            Target::Remote(SelectedRemote { remote: Remote { name, .. }, .. }) => {
                (format!(" on {name}"), format!("run `multipass remote add --replace {name} ADDRESS`"))
            }
            Target::NewRemote => (String::new(), "name another address".to_owned()),
        };
        match error {
            // The user, or the system, knows; or the command in the instance has said it.
            Error::Signal(_) | Error::Exited(_) => {}
            Error::Usage { .. } => output::tell(&error.message()),
            _ => output::tell(&format!("{command} failed{on}: {}", error.message())),
        }
        if let Some(step) = error.next_step_or(&elsewhere) {
            output::tell(&step);
        }
        let doctor = match target {
            Target::Remote(SelectedRemote { remote, source: ServiceSource::RemoteOption }) => {
                Some(format!("multipass --remote {} doctor", remote.name))
            }
            Target::Default | Target::Remote(_) => Some("multipass doctor".to_owned()),
            Target::NewRemote => None,
        };
        if let Some(doctor) = doctor.filter(|_| error.concerns_connection()) {
            output::tell(&format!("`{doctor}` looks at everything between you and the service."));
        }
        ExitCode::from(error.exit_code())
    }
}
