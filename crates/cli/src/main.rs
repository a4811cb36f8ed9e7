//! `multipass`, the client of the Multipass service.
//!
//! The edge: reads the command line, runs one command, shows its result or what went wrong, and exits. It
//! decides nothing about trust; the service does, and this client only keeps its user's identity.

mod args;
mod commands;
mod connection;
mod credentials;
mod doctor;
mod error;
mod files;
mod format;
mod guest;
mod platform;
mod terminal;

use std::env;
use std::future::Future;
use std::process::ExitCode;

use tokio::runtime::Builder;

use args::{Cli, Parsed};
use connection::{ADDRESS_VARIABLE, Context, InUse, Remote, Whence};
use error::Error;
use terminal::output;

/// This client's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    if let Err(error) = platform::keep_memory_private() {
        output::tell(&format!("warning: this program's memory may end up in a core dump: {error}"));
    }
    let outcome = match args::parse(env::args_os()) {
        Ok(Parsed::Help(text)) => show(&text).map_err(|error| Failure::of("help", error)),
        Ok(Parsed::Run(cli)) => {
            let name = commands::name(&cli);
            run(*cli).and_then(|result| show(&result).map_err(|error| Failure::of(name, error)))
        }
        Err(error) => Err(Failure::of("", error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a command. Only those that talk to the service start a runtime.
fn run(cli: Cli) -> Result<String, Box<Failure>> {
    let name = commands::name(&cli);
    match commands::offline(&cli) {
        Some(result) => result.map_err(|error| Failure::of(name, error)),
        None => {
            let context = Context::new(cli.options.service());
            let adds_a_remote = commands::adds_a_remote(&cli);
            block_on(online(&context, cli)).map_err(|error| {
                let way = match context.remote_in_use() {
                    _ if adds_a_remote => Way::Added,
                    Ok(Some(in_use)) if !in_use.remote.name.is_local() => Way::Remote(in_use.clone()),
                    _ => Way::Usual,
                };
                Box::new(Failure { command: name, way, error })
            })
        }
    }
}

/// Runs a command that may talk to the service. However it ends, the service is told that this client goes: what it
/// does for a client it gives up then, and over some transports it would learn of it no sooner than by silence.
async fn online(context: &Context, cli: Cli) -> Result<String, Error> {
    let sees_to_signals = commands::sees_to_signals(&cli);
    let command = commands::online(context, cli);
    let result = if sees_to_signals { command.await } else { until_signal(command).await };
    context.leave().await;
    result
}

/// Runs `command` to its end or to a signal. On a signal its future is dropped, and with it all that it has
/// to put back, such as the terminal's echo.
async fn until_signal(command: impl Future<Output = Result<String, Error>>) -> Result<String, Error> {
    tokio::select! {
        // Signals first: they are caught before the command changes anything that has to be put back.
        biased;
        signal = platform::interrupted() => Err(signal.map_or_else(Error::Runtime, Error::Signal)),
        result = command => result,
    }
}

fn block_on(command: impl Future<Output = Result<String, Error>>) -> Result<String, Error> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let outcome = runtime.block_on(command);
    // Dropping it would wait for whoever is at the other end of a pipe that is still being opened or read.
    runtime.shutdown_background();
    outcome
}

fn show(result: &str) -> Result<(), Error> {
    if result.is_empty() { Ok(()) } else { output::print(result).map_err(Error::Output) }
}

/// A command that has failed.
struct Failure {
    command: &'static str,
    way: Way,
    error: Error,
}

/// Which service a command was for.
enum Way {
    /// This machine's, or the one at the address in the environment.
    Usual,
    /// That remote.
    Remote(InUse),
    /// One that was to become a remote.
    Added,
}

impl Failure {
    fn of(command: &'static str, error: Error) -> Box<Self> {
        Box::new(Self { command, way: Way::Usual, error })
    }

    /// Tells what happened, and on which remote, then what to do about it on a line of its own.
    fn report(&self) -> ExitCode {
        let Self { command, way, error } = self;
        let (on, elsewhere) = match way {
            Way::Usual => (String::new(), format!("set {ADDRESS_VARIABLE}")),
            Way::Remote(InUse { remote: Remote { name, .. }, .. }) => {
                (format!(" on {name}"), format!("run `multipass remote add --replace {name} ADDRESS`"))
            }
            Way::Added => (String::new(), "name another address".to_owned()),
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
        let doctor = match way {
            Way::Remote(InUse { remote, by: Whence::RemoteOption }) => {
                Some(format!("multipass --remote {} doctor", remote.name))
            }
            Way::Usual | Way::Remote(_) => Some("multipass doctor".to_owned()),
            Way::Added => None,
        };
        if let Some(doctor) = doctor.filter(|_| error.is_on_the_way()) {
            output::tell(&format!("`{doctor}` looks at everything between you and the service."));
        }
        ExitCode::from(error.exit_code())
    }
}
