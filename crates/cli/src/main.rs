//! `multipass`, the client of the Multipass service.
//!
//! The edge: reads the command line, runs one command, shows its result or what went wrong, and exits. It
//! decides nothing about trust; the service does, and this client only keeps its user's identity.
//!
//! Of the folders, each knows only those further down in this list; and all know `error`, which joins what may go wrong
//! in any of them:
//!
//! - `commands`: what is done
//! - `format`: how results look
//! - `args`, `doctor`, `guest`: the command line; what stands between the user and the service; SSH to an instance
//! - `connection`: the service, what it has to prove, and the calls
//! - `credentials`: the client certificate, passphrases, tokens
//! - `files`, `terminal`: the user's private files; what is asked and shown
//! - `platform`: what differs between systems

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
use connection::Context;
use error::{Error, Failure, Target};
use terminal::{TerminationSignals, output};

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
                let target = match context.selected_remote() {
                    _ if adds_a_remote => Target::NewRemote,
                    Ok(Some(in_use)) if !in_use.remote.name.is_local() => Target::Remote(in_use.clone()),
                    _ => Target::Default,
                };
                Box::new(Failure { command: name, target, error })
            })
        }
    }
}

/// Runs a command that may talk to the service. However it ends, the service is told that this client goes: what it
/// does for a client it gives up then, and over some transports it would learn of it no sooner than by silence.
async fn online(context: &Context, cli: Cli) -> Result<String, Error> {
    let handles_signals = commands::handles_signals(&cli);
    let command = commands::online(context, cli);
    let result = if handles_signals {
        command.await
    } else {
        TerminationSignals::of_process().interrupt(command).await
    };
    context.all_closed().await;
    result
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
