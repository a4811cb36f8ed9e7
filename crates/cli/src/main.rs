//! `multipass`, the client of the Multipass service.
//!
//! The edge: reads the command line, runs one command, shows its result or what went wrong, and exits. It
//! decides nothing about trust; the service does, and this client only keeps its user's identity.

mod args;
mod attend;
mod commands;
mod context;
mod doctor;
mod error;
mod format;
mod guest;
mod help;
mod identity;
mod known_servers;
#[cfg(feature = "man")]
mod man;
mod output;
mod pipes;
mod platform;
mod primary_name;
mod private_files;
mod progress;
mod prompt;
mod server_trust;
mod service;
mod text;
mod token;
mod transports;
mod tunnel;

use std::env;
use std::future::Future;
use std::process::ExitCode;

use tokio::runtime::Builder;

use args::{Cli, Parsed};
use context::Context;
use error::Error;

fn main() -> ExitCode {
    if let Err(error) = platform::keep_memory_private() {
        output::tell(&format!("warning: this program's memory may end up in a core dump: {error}"));
    }
    let outcome = match args::parse(env::args_os()) {
        Ok(Parsed::Help(text)) => show(&text).map_err(|error| (String::from("help"), error)),
        Ok(Parsed::Run(cli)) => {
            let name = commands::name(&cli);
            run(*cli).and_then(|result| show(&result)).map_err(|error| (name.to_owned(), error))
        }
        Err(error) => Err((String::new(), error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((command, error)) => report(&command, &error),
    }
}

/// Runs a command. Only those that talk to the service start a runtime.
fn run(cli: Cli) -> Result<String, Error> {
    match commands::offline(&cli) {
        Some(result) => result,
        None => block_on(online(cli)),
    }
}

/// Runs a command that may talk to the service. However it ends, the service is told that this client goes: what it
/// does for a client it gives up then, and over some transports it would learn of it no sooner than by silence.
async fn online(cli: Cli) -> Result<String, Error> {
    let context = Context::new(&cli);
    let sees_to_signals = commands::sees_to_signals(&cli);
    let command = commands::online(&context, cli);
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

/// Tells what happened, then what to do about it on a line of its own.
fn report(command: &str, error: &Error) -> ExitCode {
    match error {
        // The user, or the system, knows; or the command in the instance has said it.
        Error::Signal(_) | Error::Exited(_) => {}
        Error::Usage { .. } => output::tell(&error.message()),
        _ => output::tell(&format!("{command} failed: {}", error.message())),
    }
    if let Some(step) = error.next_step() {
        output::tell(&step);
    }
    if error.is_on_the_way() {
        output::tell("`multipass doctor` looks at everything between you and the service.");
    }
    ExitCode::from(error.exit_code())
}
