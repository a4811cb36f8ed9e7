//! The program `multipassd`.

use std::process::ExitCode;

use clap::Parser;
use daemon::config::Arguments;
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
    logging::start(arguments.logger, arguments.verbosity);
    match run::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", logging::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
