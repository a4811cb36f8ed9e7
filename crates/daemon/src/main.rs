//! The program `multipassd`.

use std::process::ExitCode;

use clap::Parser;
use daemon::config::{Arguments, Logger, Verbosity};
use daemon::{logging, run};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version go to standard output and are no failure; a wrong command line exits 1.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let settings = match arguments.settings() {
        Ok(settings) => settings,
        Err(error) => {
            // There is no log yet: where it goes is one of the settings.
            logging::start(Logger::Stderr, Verbosity::Error);
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    logging::start(settings.logger, settings.verbosity);
    match run::run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", logging::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
