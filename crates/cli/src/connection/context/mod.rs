//! What a command runs with: the service's address, the root to trust, the verbosity.

mod environment;
mod selection;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;
use transport::Endpoint;
use transport::tls::RootFingerprint;

use crate::connection::{Remote, RemoteName, Remotes, transports};
use crate::error::Error;
use crate::terminal::output;
use environment::Environment;
pub(crate) use environment::{
    ADDRESS_VARIABLE, FINGERPRINT_VARIABLE, REMOTE_VARIABLE, ROOT_CERTIFICATE_VARIABLE,
};
pub(crate) use selection::{ExpectedRoot, SelectedRemote, ServiceSource};

/// The highest verbosity there is: trace.
const MAX_VERBOSITY: u8 = 4;
/// From this verbosity on, the client tells what it does.
const TELLING_VERBOSITY: u8 = 2;

/// What the command line says of the service, and of what is told of the way to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceOptions {
    /// The remote.
    pub(crate) remote: Option<RemoteName>,
    /// The root certificate's file.
    pub(crate) root_certificate: Option<PathBuf>,
    /// The root's fingerprint.
    pub(crate) fingerprint: Option<RootFingerprint>,
    /// How often `-v` was given.
    pub(crate) verbosity: u8,
}

/// Settings of one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The remote that the command line names.
    remote: Option<RemoteName>,
    environment: Environment,
    /// The remote that was found to be meant, so that one command has one, whatever becomes of the file meanwhile.
    selected_remote: Arc<OnceLock<Option<SelectedRemote>>>,
    /// What the command line says of the service's root; the environment if that says nothing.
    root: Option<ExpectedRoot>,
    verbosity: u8,
    /// Services that are being told that this client goes.
    closing: TaskTracker,
}

impl Context {
    /// Takes the settings from the command line, then the environment, then the platform.
    pub(crate) fn new(options: ServiceOptions) -> Self {
        Self {
            remote: options.remote,
            environment: Environment::of_process(),
            selected_remote: Arc::default(),
            root: match (options.root_certificate, options.fingerprint) {
                (Some(file), _) => Some(ExpectedRoot::Certificate(file)),
                (None, Some(fingerprint)) => {
                    Some(ExpectedRoot::Fingerprint { fingerprint, is_remembered: true })
                }
                (None, None) => None,
            },
            verbosity: options.verbosity.min(MAX_VERBOSITY),
            closing: TaskTracker::new(),
        }
    }

    /// The remote that the command is for; `None` if it is for the service at the address that the environment names,
    /// or at the platform's.
    ///
    /// # Errors
    /// The environment names two services, there is no such remote, or the user's remotes cannot be read.
    pub(crate) fn selected_remote(&self) -> Result<Option<&SelectedRemote>, Error> {
        if let Some(found) = self.selected_remote.get() {
            return Ok(found.as_ref());
        }
        let chosen = self.select_remote()?;
        Ok(self.selected_remote.get_or_init(|| chosen).as_ref())
    }

    fn select_remote(&self) -> Result<Option<SelectedRemote>, Error> {
        let named = |name: &RemoteName, source| {
            let remote = match name.is_local() {
                // Also where the file is damaged.
                true => Remote::local(),
                false => Remotes::of_user()?.read()?.find(name)?,
            };
            Ok(Some(SelectedRemote { remote, source }))
        };
        match (&self.remote, &self.environment.remote, &self.environment.address) {
            (Some(name), _, _) => named(name, ServiceSource::RemoteOption),
            (None, Some(_), Some(_)) => Err(Error::usage(
                format!("both {REMOTE_VARIABLE} and {ADDRESS_VARIABLE} are set"),
                Some("Unset one of them, or name the remote with --remote.".to_owned()),
            )),
            (None, Some(name), None) => {
                named(&name.parse().map_err(Error::RemoteName)?, ServiceSource::RemoteVariable)
            }
            (None, None, Some(_)) => Ok(None),
            (None, None, None) => {
                let remote = Remotes::default_of_user()?;
                Ok(remote.map(|remote| SelectedRemote { remote, source: ServiceSource::DefaultRemote }))
            }
        }
    }

    /// What says which service is meant.
    pub(crate) fn service_source(&self) -> ServiceSource {
        match (&self.remote, &self.environment.remote, &self.environment.address) {
            (Some(_), _, _) => ServiceSource::RemoteOption,
            (None, Some(_), _) => ServiceSource::RemoteVariable,
            (None, None, Some(_)) => ServiceSource::AddressVariable,
            (None, None, None) => match self.selected_remote() {
                Ok(None) => ServiceSource::Nothing,
                _ => ServiceSource::DefaultRemote,
            },
        }
    }

    /// The service's address.
    ///
    /// # Errors
    /// The one in the environment is malformed, or as for [`Self::selected_remote`].
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        match (self.selected_remote()?, &self.environment.address) {
            (Some(SelectedRemote { remote, .. }), _) => Ok(remote.endpoint.clone()),
            (None, Some(address)) => address.parse().map_err(Error::Address),
            (None, None) => Ok(transports::default_endpoint()),
        }
    }

    /// Whether the service is one that the user names, and not the platform's.
    pub(crate) fn service_is_named(&self) -> bool {
        match self.selected_remote() {
            Ok(Some(SelectedRemote { remote, .. })) => !remote.name.is_local(),
            Ok(None) => self.environment.address.is_some(),
            Err(_) => true,
        }
    }

    /// What the environment has to have for the same service and root to be meant by somebody who has other remotes.
    pub(crate) fn equivalent_environment(&self) -> Vec<(&'static str, String)> {
        let (address, root, fingerprint) = match self.selected_remote() {
            Ok(Some(SelectedRemote { remote, .. })) => {
                let address = (!remote.name.is_local()).then(|| remote.endpoint.to_string());
                (address, None, remote.fingerprint.map(|fingerprint| fingerprint.to_string()))
            }
            _ => {
                let root = self.environment.root_certificate.as_ref().map(|file| file.display().to_string());
                (self.environment.address.clone(), root, self.environment.fingerprint.clone())
            }
        };
        [(ADDRESS_VARIABLE, address), (ROOT_CERTIFICATE_VARIABLE, root), (FINGERPRINT_VARIABLE, fingerprint)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// The options that name the service's root, as they were written.
    pub(crate) fn root_options(&self) -> Option<(&'static str, String)> {
        match self.root.as_ref()? {
            ExpectedRoot::Certificate(file) => Some(("--root-cert", file.display().to_string())),
            ExpectedRoot::Fingerprint { fingerprint, .. } => Some(("--fingerprint", fingerprint.to_string())),
            ExpectedRoot::Default | ExpectedRoot::Remote { .. } => None,
        }
    }

    /// What the command line says of the service's root.
    pub(crate) fn root_on_command_line(&self) -> Option<&ExpectedRoot> {
        self.root.as_ref()
    }

    /// How the user names the service's root. The environment does for the service that it names, and for the
    /// platform's; a remote has its own.
    ///
    /// # Errors
    /// The environment names it in two ways, or its fingerprint is malformed; or as for [`Self::selected_remote`].
    pub(crate) fn expected_root(&self) -> Result<ExpectedRoot, Error> {
        let selected_remote = self.selected_remote()?;
        match &self.root {
            Some(ExpectedRoot::Fingerprint { fingerprint, .. }) if selected_remote.is_some() => {
                return Ok(ExpectedRoot::Fingerprint { fingerprint: *fingerprint, is_remembered: false });
            }
            Some(root) => return Ok(root.clone()),
            None => {}
        }
        if let Some(SelectedRemote { remote, .. }) = selected_remote {
            let named = |fingerprint| ExpectedRoot::Remote { name: remote.name.clone(), fingerprint };
            return Ok(remote.fingerprint.map_or(ExpectedRoot::Default, named));
        }
        match (&self.environment.root_certificate, &self.environment.fingerprint) {
            (None, None) => Ok(ExpectedRoot::Default),
            (Some(file), None) => Ok(ExpectedRoot::Certificate(file.clone())),
            (None, Some(digits)) => digits
                .parse()
                .map(|fingerprint| ExpectedRoot::Fingerprint { fingerprint, is_remembered: false })
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
    pub(crate) fn close_in_background(&self, close: impl Future<Output = ()> + Send + 'static) {
        self.closing.spawn(close);
    }

    /// Waits until all services have been told that this client goes.
    pub(crate) async fn all_closed(&self) {
        self.closing.close();
        self.closing.wait().await;
    }

    /// Settings for a test.
    #[cfg(all(test, unix, feature = "unix"))]
    pub(crate) fn at(address: &str, root_certificate: PathBuf) -> Self {
        Self { root: Some(ExpectedRoot::Certificate(root_certificate)), ..Self::with_address(address) }
    }

    /// Settings for a test of a service whose root has that fingerprint.
    #[cfg(all(test, unix, feature = "unix"))]
    pub(crate) fn pinned_at(address: &str, fingerprint: RootFingerprint) -> Self {
        let root = ExpectedRoot::Fingerprint { fingerprint, is_remembered: false };
        Self { root: Some(root), ..Self::with_address(address) }
    }

    #[cfg(test)]
    fn with_address(address: &str) -> Self {
        Self {
            remote: None,
            environment: Environment { address: Some(address.to_owned()), ..Environment::default() },
            selected_remote: Arc::default(),
            root: None,
            verbosity: 0,
            closing: TaskTracker::new(),
        }
    }
}

#[cfg(test)]
mod tests;
