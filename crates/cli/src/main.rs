//! `multipass`, the client of the Multipass service.
//!
//! The edge: reads the command line, runs one command, shows its result or what went wrong, and exits. It
//! decides nothing about trust; the service does, and this client only keeps its user's identity.

mod args;
mod commands;
mod context;
mod doctor;
mod error;
mod format;
mod help;
mod identity;
mod known_servers;
#[cfg(feature = "man")]
mod man;
mod output;
mod platform;
mod primary_name;
mod private_files;
mod progress;
mod prompt;
mod server_trust;
mod service;
mod text;
mod transports;

use std::env;
use std::future::Future;
use std::process::ExitCode;

use tokio::runtime::Builder;

use args::{Cli, Parsed};
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
        None => until_signal(commands::online(cli)),
    }
}

/// Runs `command` to its end or to a signal. On a signal its future is dropped, and with it all that it has
/// to put back, such as the terminal's echo.
fn until_signal(command: impl Future<Output = Result<String, Error>>) -> Result<String, Error> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(async {
        tokio::select! {
            // Signals first: they are caught before the command changes anything that has to be put back.
            biased;
            signal = platform::interrupted() => Err(signal.map_or_else(Error::Runtime, Error::Signal)),
            result = command => result,
        }
    })
}

fn show(result: &str) -> Result<(), Error> {
    if result.is_empty() { Ok(()) } else { output::print(result).map_err(Error::Output) }
}

/// Tells what happened, then what to do about it on a line of its own.
fn report(command: &str, error: &Error) -> ExitCode {
    match error {
        // The user, or the system, knows.
        Error::Signal(_) => {}
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
