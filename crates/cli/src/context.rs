//! What a command runs with: the service's address, the root certificate to trust, the verbosity.

use std::env;
use std::path::PathBuf;

use tokio_util::task::TaskTracker;
use transport::Endpoint;

use crate::args::Cli;
use crate::error::Error;
use crate::{output, transports};

/// Names where the service listens, if not at the system's default address.
pub(crate) const ADDRESS_VARIABLE: &str = "MULTIPASS_SERVER_ADDRESS";
/// Names the root certificate's file, if it is not the system's.
pub(crate) const ROOT_CERTIFICATE_VARIABLE: &str = "MULTIPASS_ROOT_CERT";

/// The highest verbosity there is: trace.
const MAX_VERBOSITY: u8 = 4;
/// From this verbosity on, the client tells what it does.
const TELLING_VERBOSITY: u8 = 2;

/// Settings of one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The address as the environment has it.
    address: Option<String>,
    /// The file with the service's root certificate.
    pub(crate) root_certificate: PathBuf,
    verbosity: u8,
    /// Services that are being told that this client goes.
    leaving: TaskTracker,
}

impl Context {
    /// Takes the settings from the command line, then the environment, then the platform.
    pub(crate) fn new(cli: &Cli) -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            address: variable(ADDRESS_VARIABLE).map(|address| address.to_string_lossy().into_owned()),
            root_certificate: cli
                .root_cert
                .clone()
                .or_else(|| variable(ROOT_CERTIFICATE_VARIABLE).map(PathBuf::from))
                .unwrap_or_else(transport::system_root_certificate),
            verbosity: cli.verbose.min(MAX_VERBOSITY),
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
        Self {
            address: Some(address.to_owned()),
            root_certificate,
            verbosity: 0,
            leaving: TaskTracker::new(),
        }
    }
}
