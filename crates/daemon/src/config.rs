//! What the administrator says on the command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use transport::Endpoint;

/// Runs the Multipass service: it lets clients in and serves them.
#[derive(Debug, Parser)]
#[command(name = "multipassd", version, disable_version_flag = true)]
pub struct Arguments {
    /// Where log messages go: the system's log, or standard error
    #[arg(long, value_enum, default_value_t = Logger::Stderr)]
    pub logger: Logger,

    /// How much is logged
    #[arg(short = 'V', long, value_enum, default_value_t = Verbosity::Info)]
    pub verbosity: Verbosity,

    /// Where to listen, as unix:/path or host:port [default: the platform's]
    #[arg(long)]
    pub address: Option<Endpoint>,

    /// Where to publish the root certificate, which clients need in order to trust this daemon
    /// [default: the system's file when run by root, else a file in the data directory]
    #[arg(long, value_name = "FILE")]
    pub root_cert: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Where log messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Logger {
    /// The system's log: the journal on Linux.
    Platform,
    /// Standard error.
    Stderr,
}

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verbosity {
    /// Failures of the daemon.
    Error,
    /// What an administrator should look at.
    Warning,
    /// Who was let in, and changes.
    Info,
    /// Every connection and call.
    Debug,
    /// Everything.
    Trace,
}
