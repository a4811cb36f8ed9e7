//! What the administrator says: on the command line, in the environment, in a file. What is said nearer
//! to the start of the daemon wins, and what is not understood is refused.

mod arguments;

use std::path::PathBuf;

use clap::ValueEnum;
use durable::private;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use transport::Endpoint;

use crate::platform;
#[cfg(windows)]
pub use arguments::Install;
pub use arguments::{Arguments, Command, EnrollInstaller, Migrate, Recover};

/// Environment variables of settings begin so: `MULTIPASSD_ADDRESS`.
const PREFIX: &str = "MULTIPASSD_";

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
    use clap::Parser;
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
