//! The command line, of which the help and the man pages are made too.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use serde::{Serialize, Serializer};
use transport::Endpoint;

use super::{Logger, Verbosity};

/// Runs the Multipass service: it lets clients in and serves them.
///
/// Each option but --config is also a setting in the configuration file, with '_' for '-', and an environment
/// variable in capitals that begins with MULTIPASSD_. The command line wins over the environment, which wins over
/// the file. MULTIPASS_STORAGE, in the environment alone, names another directory for the service's files.
#[derive(Debug, Parser)]
#[command(
    name = "multipassd",
    version,
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    #[cfg_attr(unix, doc = "The configuration file, in TOML [default: /etc/multipassd.toml if it exists]")]
    #[cfg_attr(
        windows,
        doc = "The configuration file, in TOML [default: %ProgramData%\\Multipass\\multipassd.toml if it exists]"
    )]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) options: Options,

    /// What to do instead of running the service.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// What can be done instead of running the service.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let an administrator back in whom the service does not know, while it runs or not
    ///
    /// A running service takes notice within seconds. Over a Unix socket 'sudo multipass clients add' does
    /// the same.
    Recover(Recover),

    /// Print the fingerprint by which clients on other machines know this service
    ///
    /// It is what such a client shows when it meets the service for the first time, and what it takes with
    /// 'multipass --fingerprint': SHA-256 of the root certificate's public key.
    Fingerprint,

    /// Make the client of the user who installs the service its first one; for installers, as administrator
    ///
    /// The user is the one named, or who runs the installer by sudo or pkexec. Their client is made if there is
    /// none, with their rights. If anybody was ever enrolled, nothing is done, which is no failure: an installer
    /// may run this on each upgrade. A running service takes notice within seconds.
    EnrollInstaller(EnrollInstaller),

    /// Take over what a stock Multipass service has in another directory: clients, passphrase, root certificate
    ///
    /// Both services must be stopped. Nothing is changed in the other directory, nor in the trust in clients that are
    /// known here; who was revoked here stays out. It may be run again. Instances are not taken over.
    Migrate(Migrate),

    /// Stop the machines that a stopped service has left running
    ///
    /// Each guest is asked to shut down, and loses its power if it does not. To be run before this machine goes
    /// down, or the service is removed; the units of the package do. What runs is found by the data directory.
    StopMachines,

    /// Writes the man pages into a directory
    #[cfg(feature = "man")]
    #[command(hide = true)]
    Man {
        /// The directory; it is made if need be.
        directory: PathBuf,
    },

    /// Install the service of this machine, or the new version of one that is installed, and start it
    ///
    /// Run this as administrator, in the session of the user who installs: their client becomes the first one, if
    /// nobody was ever enrolled, as by enroll-installer.
    #[cfg(windows)]
    Install(Install),

    /// Stop the service of this machine and remove it; its files stay
    #[cfg(windows)]
    Uninstall,

    /// Runs the service, for the service manager
    #[cfg(windows)]
    #[command(hide = true)]
    RunService(Install),

    /// Opens a file for the service, with the rights of who wants it
    #[cfg(unix)]
    #[command(hide = true)]
    OpenFile,
}

impl Command {
    /// Whether it starts a log of its own, with the settings of the service.
    #[must_use]
    pub fn logs_by_itself(&self) -> bool {
        #[cfg(windows)]
        if let Self::RunService(_) = self {
            return true;
        }
        false
    }
}

/// Whom to enrol at installation.
#[derive(Debug, Args)]
pub struct EnrollInstaller {
    /// The user who installs the service [default: who runs the installer by sudo or pkexec]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// From where to take over.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The stock service's data directory; of the snap, /var/snap/multipass/common/data/multipassd
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,

    /// Its settings, where the passphrase's hash is [default: multipassd/multipassd.conf where the stock service of
    /// the user who runs this has it; for the snap's data, the snap's]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// The root certificate that it has published [default: where stock services publish theirs]
    #[arg(long, value_name = "FILE")]
    pub root_cert: Option<PathBuf>,
}

/// How the service of this machine is run.
#[cfg(windows)]
#[derive(Debug, Args)]
pub struct Install {
    /// The configuration file of the service [default: as of a daemon that is started by hand]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to recover.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Recover {
    /// Make the next administrator who calls the service its first client, if no client is trusted
    #[arg(long)]
    pub first_client: bool,

    /// Trust the client with this certificate, a file in PEM
    #[arg(long, value_name = "FILE")]
    pub add_cert: Option<PathBuf>,
}

/// The options that were given; the rest is left to the environment and the file.
#[derive(Debug, Parser, Serialize)]
pub(super) struct Options {
    /// Where log messages go: the system's log, or standard error [default: stderr]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    logger: Option<Logger>,

    /// How much is logged [default: info]
    #[arg(short = 'V', long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<Verbosity>,

    /// Where to listen, as unix:/path, host:port (TCP) or quic:host:port; may be repeated [default: the
    /// platform's when run by root, else a socket in XDG_RUNTIME_DIR]
    #[arg(long)]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_written")]
    address: Vec<Endpoint>,

    /// Listen on network addresses that other machines can reach, too
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_remote: bool,

    /// Where to publish the root certificate, which clients need in order to trust this daemon
    /// [default: the system's file when run by root, else a file in the data directory]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    root_cert: Option<PathBuf>,
}

fn as_written<S: Serializer>(endpoints: &[Endpoint], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(endpoints.iter().map(Endpoint::to_string))
}
