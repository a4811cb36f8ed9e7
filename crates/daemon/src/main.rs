//! The program `multipassd`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
#[cfg(windows)]
use daemon::commands::run_service;
use daemon::commands::{fingerprint, installer, migrate, recover, stop_machines};
use daemon::config::{Arguments, Command, Logger, Verbosity};
#[cfg(windows)]
use daemon::platform::windows_service;
use daemon::{logging, platform, run};

fn main() -> ExitCode {
    // Before anything is read: whatever it is to do, the root key may be part of it.
    if let Err(error) = platform::keep_memory_private() {
        // There is no log yet. Nobody is left to tell if this fails too.
        let _ = writeln!(
            std::io::stderr(),
            "warning: this process's memory, and with it keys and passphrases, may end up in a core dump: {error}"
        );
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version go to standard output and are no failure; a wrong command line exits 1.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if let Some(command) = &arguments.command {
        if !command.logs_by_itself() {
            logging::start(Logger::Stderr, Verbosity::Warning);
        }
        return match command {
            Command::Recover(what) => report(recover::recover(what).map(Some)),
            Command::EnrollInstaller(whom) => report(installer::enroll(whom).map(Some)),
            Command::Migrate(what) => report(migrate::migrate(what).map(Some)),
            Command::StopMachines => report(stop_machines::stop_machines().map(Some)),
            #[cfg(feature = "man")]
            Command::Man { directory } => report(daemon::commands::man::write(directory).map(|()| None)),
            #[cfg(windows)]
            Command::Install(how) => report(installer::install(how).map(Some)),
            #[cfg(windows)]
            Command::Uninstall => report(windows_service::uninstall().map(Some)),
            #[cfg(windows)]
            Command::RunService(how) => report(run_service::run_service(how).map(|()| None)),
            #[cfg(unix)]
            Command::OpenFile => report(daemon::open_file::run().map(|()| None)),
            Command::Fingerprint => report(fingerprint::fingerprint().map(Some)),
        };
    }
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
    report(run::run(&settings).map(|()| None))
}

/// Says how it went: the answer on standard output, what went wrong in the log.
fn report(outcome: Result<Option<String>, impl std::error::Error>) -> ExitCode {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!("{}", logging::with_causes(&error));
            return ExitCode::FAILURE;
        }
    };
    match answer.map_or(Ok(()), |answer| writeln!(std::io::stdout(), "{answer}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
