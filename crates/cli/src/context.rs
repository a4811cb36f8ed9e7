//! What a command runs with: the service's address, the root to trust, the verbosity.

use std::env;
use std::path::PathBuf;

use tokio_util::task::TaskTracker;
use transport::Endpoint;
use transport::tls::RootFingerprint;

use crate::args::Cli;
use crate::error::Error;
use crate::{output, transports};

/// Names where the service listens, if not at the system's default address.
pub(crate) const ADDRESS_VARIABLE: &str = "MULTIPASS_SERVER_ADDRESS";
/// Names the root certificate's file, if it is not the system's.
pub(crate) const ROOT_CERTIFICATE_VARIABLE: &str = "MULTIPASS_ROOT_CERT";
/// Names the fingerprint of the root, of a service on another machine.
pub(crate) const FINGERPRINT_VARIABLE: &str = "MULTIPASS_FINGERPRINT";

/// The highest verbosity there is: trace.
const MAX_VERBOSITY: u8 = 4;
/// From this verbosity on, the client tells what it does.
const TELLING_VERBOSITY: u8 = 2;

/// Settings of one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The address as the environment has it.
    address: Option<String>,
    /// What the command line says of the service's root; the environment if that says nothing.
    root: Option<NamedRoot>,
    /// The root certificate's file as the environment has it.
    root_certificate: Option<PathBuf>,
    /// The fingerprint as the environment has it.
    fingerprint: Option<String>,
    verbosity: u8,
    /// Services that are being told that this client goes.
    leaving: TaskTracker,
}

/// How the user names the root by which the service is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamedRoot {
    /// Not at all: it is the one that is usual for the address.
    Usual,
    /// By its certificate's file.
    Certificate(PathBuf),
    /// By its fingerprint.
    Fingerprint {
        /// The fingerprint.
        fingerprint: RootFingerprint,
        /// Whether it was written for this command.
        on_command_line: bool,
    },
}

impl Context {
    /// Takes the settings from the command line, then the environment, then the platform.
    pub(crate) fn new(cli: &Cli) -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            address: variable(ADDRESS_VARIABLE).map(|address| address.to_string_lossy().into_owned()),
            root: match (&cli.options.root_cert, cli.options.fingerprint) {
                (Some(file), _) => Some(NamedRoot::Certificate(file.clone())),
                (None, Some(fingerprint)) => {
                    Some(NamedRoot::Fingerprint { fingerprint, on_command_line: true })
                }
                (None, None) => None,
            },
            root_certificate: variable(ROOT_CERTIFICATE_VARIABLE).map(PathBuf::from),
            fingerprint: variable(FINGERPRINT_VARIABLE).map(|digits| digits.to_string_lossy().into_owned()),
            verbosity: cli.options.verbose.min(MAX_VERBOSITY),
            leaving: TaskTracker::new(),
        }
    }

    /// The service's address.
    ///
    /// # Errors
    /// The one in the environment is malformed.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        match &self.address {
            Some(address) => address.parse().map_err(Error::Address),
            None => Ok(transports::default_endpoint()),
        }
    }

    /// Whether the address is the user's, and not the default.
    pub(crate) fn address_is_named(&self) -> bool {
        self.address.is_some()
    }

    /// What the environment has set, by name.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let root = self.root_certificate.as_ref().map(|file| file.display().to_string());
        [
            (ADDRESS_VARIABLE, self.address.clone()),
            (ROOT_CERTIFICATE_VARIABLE, root),
            (FINGERPRINT_VARIABLE, self.fingerprint.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The options that name the service's root, as they were written.
    pub(crate) fn root_options(&self) -> Option<(&'static str, String)> {
        match self.root.as_ref()? {
            NamedRoot::Certificate(file) => Some(("--root-cert", file.display().to_string())),
            NamedRoot::Fingerprint { fingerprint, .. } => Some(("--fingerprint", fingerprint.to_string())),
            NamedRoot::Usual => None,
        }
    }

    /// How the user names the service's root.
    ///
    /// # Errors
    /// The environment names it in two ways, or its fingerprint is malformed.
    pub(crate) fn named_root(&self) -> Result<NamedRoot, Error> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        match (&self.root_certificate, &self.fingerprint) {
            (None, None) => Ok(NamedRoot::Usual),
            (Some(file), None) => Ok(NamedRoot::Certificate(file.clone())),
            (None, Some(digits)) => digits
                .parse()
                .map(|fingerprint| NamedRoot::Fingerprint { fingerprint, on_command_line: false })
                .map_err(Error::Fingerprint),
            (Some(_), Some(_)) => Err(Error::usage(
                format!("both {ROOT_CERTIFICATE_VARIABLE} and {FINGERPRINT_VARIABLE} are set"),
                Some("Unset one of them, or name the root with --fingerprint or --root-cert.".to_owned()),
            )),
        }
    }

    /// The verbosity in the service's numbers: 0 for errors only, 4 for trace.
    pub(crate) fn verbosity_level(&self) -> i32 {
        self.verbosity.into()
    }

    /// Tells the user on standard error what the client does, if that was asked for.
    pub(crate) fn note(&self, message: impl FnOnce() -> String) {
        if self.verbosity >= TELLING_VERBOSITY {
            output::tell(&format!("multipass: {}", message()));
        }
    }

    /// Tells a service that this client goes, in the background.
    pub(crate) fn leaves(&self, goodbye: impl Future<Output = ()> + Send + 'static) {
        self.leaving.spawn(goodbye);
    }

    /// Waits until all services have been told that this client goes.
    pub(crate) async fn leave(&self) {
        self.leaving.close();
        self.leaving.wait().await;
    }

    /// Settings for a test.
    #[cfg(all(test, unix, feature = "unix"))]
    pub(crate) fn at(address: &str, root_certificate: PathBuf) -> Self {
        Self { root: Some(NamedRoot::Certificate(root_certificate)), ..Self::with_address(address) }
    }

    /// Settings for a test of a service whose root has that fingerprint.
    #[cfg(all(test, unix, feature = "unix"))]
    pub(crate) fn pinned_at(address: &str, fingerprint: RootFingerprint) -> Self {
        let root = NamedRoot::Fingerprint { fingerprint, on_command_line: false };
        Self { root: Some(root), ..Self::with_address(address) }
    }

    #[cfg(test)]
    fn with_address(address: &str) -> Self {
        Self {
            address: Some(address.to_owned()),
            root: None,
            root_certificate: None,
            fingerprint: None,
            verbosity: 0,
            leaving: TaskTracker::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_named_in_one_way() {
        let digits = "1".repeat(64);
        let fingerprint = digits.parse().expect("a fingerprint");
        let file = || Some(PathBuf::from("/root.pem"));
        let by_fingerprint = |on_command_line| NamedRoot::Fingerprint { fingerprint, on_command_line };
        let by_file = NamedRoot::Certificate("/root.pem".into());
        for (root, root_certificate, variable, expected) in [
            (None, None, None, Some(NamedRoot::Usual)),
            (None, file(), None, Some(by_file.clone())),
            (None, None, Some(digits.as_str()), Some(by_fingerprint(false))),
            (None, None, Some("1234"), None),
            (None, file(), Some(&digits), None),
            (Some(by_fingerprint(true)), file(), None, Some(by_fingerprint(true))),
            (Some(by_file.clone()), None, Some("1234"), Some(by_file.clone())),
        ] {
            let fingerprint = variable.map(str::to_owned);
            let context = Context { root, root_certificate, fingerprint, ..Context::with_address("") };
            match (context.named_root(), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected),
                (Err(error), None) => assert!(error.message().contains(FINGERPRINT_VARIABLE), "{error}"),
                (found, expected) => panic!("{found:?}, {expected:?}"),
            }
        }
    }
}
