//! What the administrator says: on the command line, in the environment, in a file. What is said nearer
//! to the start of the daemon wins, and what is not understood is refused.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use durable::private;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use transport::Endpoint;

use crate::platform;

/// Environment variables of settings begin so: `MULTIPASSD_ADDRESS`.
const PREFIX: &str = "MULTIPASSD_";

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
    config: Option<PathBuf>,

    #[command(flatten)]
    options: Options,

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
struct Options {
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

/// What the daemon does, from all sources.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where log messages go.
    #[serde(default)]
    pub logger: Logger,
    /// How much is logged.
    #[serde(default)]
    pub verbosity: Verbosity,
    /// Where to listen; empty: at the usual place.
    #[serde(default, deserialize_with = "endpoints")]
    pub address: Vec<Endpoint>,
    /// Whether to listen on network addresses that other machines can reach.
    #[serde(default)]
    pub allow_remote: bool,
    /// Where to publish the root certificate, if not at the usual place.
    #[serde(default)]
    pub root_cert: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file that was named is not there.
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    /// The file can be changed by others, or cannot be looked at.
    #[error("cannot use the configuration file {path}: {source}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// A key is unknown, or a value is not one of its key.
    #[error("{0}")]
    Invalid(#[from] Box<figment::Error>),
}

impl Arguments {
    /// Joins the command line with the environment and the file.
    ///
    /// # Errors
    /// The file that was named does not exist, or something in any of the sources is not understood.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        let mut sources = Figment::new();
        let usual = platform::system_config_file();
        let file = match &self.config {
            Some(file) if !file.is_file() => return Err(SettingsError::NoFile(file.clone())),
            Some(file) => Some(file.as_path()),
            // What is there and cannot be read is an error; only what is not there is left out.
            None => Some(usual.as_path()).filter(|file| file.symlink_metadata().is_ok()),
        };
        if let Some(file) = file {
            private::beyond_others(file)
                .map_err(|source| SettingsError::NotOurs { path: file.to_owned(), source })?;
            // Exactly this file: figment would look for it in the directories above as well.
            sources = sources.merge(Toml::file_exact(file));
        }
        let sources = sources.merge(Env::prefixed(PREFIX)).merge(Serialized::defaults(&self.options));
        Ok(sources.extract().map_err(Box::new)?)
    }
}

fn as_written<S: Serializer>(endpoints: &[Endpoint], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(endpoints.iter().map(Endpoint::to_string))
}

/// One address, or a list of them.
fn endpoints<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Endpoint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an address in quotes, or a list of such")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let texts = match OneOrMany::deserialize(from)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    };
    if texts.is_empty() {
        return Err(serde::de::Error::custom(
            "the list of addresses is empty; leave it out for the usual one",
        ));
    }
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// Where log messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Logger {
    /// The system's log: the journal on Linux, files in /Library/Logs/Multipass on macOS.
    Platform,
    /// Standard error.
    #[default]
    Stderr,
}

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// Failures of the daemon.
    Error,
    /// What an administrator should look at.
    Warning,
    /// Who was let in, and changes.
    #[default]
    Info,
    /// Every connection and call.
    Debug,
    /// Everything.
    Trace,
}

#[cfg(test)]
mod tests {
    use figment::Jail;

    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, SettingsError> {
        Arguments::try_parse_from([&["multipassd"], arguments].concat()).unwrap().settings()
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's closures return its own error")]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        Jail::expect_with(|jail| {
            jail.create_file(
                "file.toml",
                "verbosity = \"error\"\naddress = \"unix:/file\"\nroot_cert = \"/file\"",
            )?;
            jail.set_env("MULTIPASSD_ADDRESS", "unix:/environment");
            jail.set_env("MULTIPASSD_ROOT_CERT", "/environment");
            let joined = settings(&["--config", "file.toml", "--root-cert", "/flag"]).unwrap();
            assert_eq!(joined.verbosity, Verbosity::Error);
            assert_eq!(joined.address, ["unix:/environment".parse().unwrap()]);
            assert!(!joined.allow_remote);
            assert_eq!(joined.root_cert, Some("/flag".into()));
            assert_eq!(joined.logger, Logger::Stderr);
            Ok(())
        });
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's closures return its own error")]
    fn several_addresses_are_given_in_each_place() {
        let both = ["unix:/a", "localhost:50051"].map(|address| address.parse().unwrap());
        for (file, variable, arguments) in [
            ("address = [\"unix:/a\", \"localhost:50051\"]\nallow_remote = true", None, &[][..]),
            ("", Some("[unix:/a, \"localhost:50051\"]"), &["--allow-remote"]),
            (
                "address = \"unix:/file\"",
                None,
                &["--address", "unix:/a", "--address", "localhost:50051", "--allow-remote"],
            ),
        ] {
            Jail::expect_with(|jail| {
                jail.create_file("file.toml", file)?;
                if let Some(value) = variable {
                    jail.set_env("MULTIPASSD_ADDRESS", value);
                }
                let joined = settings(&[&["--config", "file.toml"], arguments].concat()).unwrap();
                assert_eq!(joined.address, both, "{file:?} {variable:?}");
                assert!(joined.allow_remote, "{file:?} {variable:?}");
                Ok(())
            });
        }
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's closures return its own error")]
    fn what_is_not_understood_is_refused_by_name() {
        for (file, variable, part) in [
            ("adress = \"unix:/x\"", None, "adress"),
            ("verbosity = \"loud\"", None, "loud"),
            ("address = \"http://x\"", None, "'http' is no known transport"),
            ("address =", None, "file.toml"),
            ("address = []", None, "the list of addresses is empty"),
            ("address = 50051", None, "an address in quotes"),
            ("allow_remote = \"yes\"", None, "allow_remote"),
            ("", Some(("MULTIPASSD_VERBOSE", "debug")), "verbose"),
            ("", Some(("MULTIPASSD_LOGGER", "paper")), "paper"),
        ] {
            Jail::expect_with(|jail| {
                jail.create_file("file.toml", file)?;
                if let Some((name, value)) = variable {
                    jail.set_env(name, value);
                }
                let error = settings(&["--config", "file.toml"]).unwrap_err().to_string();
                assert!(error.contains(part), "{file:?} {variable:?}: {error}");
                Ok(())
            });
        }
        let missing = settings(&["--config", "/nowhere/file.toml"]).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/file.toml"));
    }
}
