//! By what a service has to prove itself, before it hears anything from this client.
//!
//! On this machine that is the root certificate in the system's file. A service on another machine has none here: the
//! user names its root, or it is one that the user has met before, or the user is asked. There is no way to go without.

mod error;
mod explain;
mod root_certificate;
mod token;

use std::path::PathBuf;

use transport::tls::{CertificateDates, ClientTls, Pin, PinError, RootFingerprint};
use transport::{ConnectError, Endpoint, Transport};

use self::error::SHOWS_IT;
pub(crate) use self::error::ServerTrustError;
use self::explain::explain;
pub(crate) use self::token::KnownServerUpdate;
use crate::connection::known_servers::{KnownServer, KnownServers, KnownServersError};
use crate::connection::{Context, ExpectedRoot, Remote, RemoteName, dial};
use crate::error::Error;
use crate::files::list::OnConflict;
use crate::terminal::{output, prompt};

/// What to do about a service on another machine that the user has not met yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownServer {
    /// Ask the user, where there is one, and know the service from then on.
    Ask,
    /// Do without the service.
    Refuse,
}

/// What a service has to prove itself by, and how that came to be.
#[derive(Debug)]
pub(crate) struct ServerTrust {
    /// Its root.
    pub(crate) pin: Pin,
    /// Whether its certificate's dates count.
    pub(crate) dates: CertificateDates,
    /// The root's fingerprint.
    root: RootFingerprint,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A root certificate's file.
    File(PathBuf),
    /// The user says so, now or in the environment.
    Named { is_remembered: bool },
    /// The remote that is in use has it.
    Remote(RemoteName),
    /// A token says so.
    Token,
    /// The user has said so before.
    Known { file: PathBuf, line: usize },
}

impl ServerTrust {
    /// What is to be trusted at `endpoint`, which `transport` reaches. The user may be asked.
    ///
    /// # Errors
    /// Nothing is.
    pub(crate) async fn find(
        context: &Context,
        endpoint: &Endpoint,
        transport: &dyn Transport,
        unknown: UnknownServer,
    ) -> Result<Self, Error> {
        if let Some(trust) = Self::without_asking(endpoint, context.expected_root()?)? {
            return Ok(trust.logged(context));
        }
        if unknown == UnknownServer::Refuse {
            return Err(ServerTrustError::Unknown(endpoint.clone()).into());
        }
        let trust = Self::trust_on_first_use(endpoint, transport).await?;
        let servers = KnownServers::of_user().map_err(ServerTrustError::from)?;
        remember(&servers, endpoint, trust.root, OnConflict::Refuse)?;
        Ok(trust)
    }

    /// What is to be trusted at `endpoint` by a remote that is to be added for it, or to replace the one `before`. Of
    /// what the user names only the command line counts. The user may be asked; nothing is remembered.
    ///
    /// # Errors
    /// Nothing is.
    pub(crate) async fn for_new_remote(
        context: &Context,
        endpoint: &Endpoint,
        transport: &dyn Transport,
        before: Option<&Remote>,
    ) -> Result<Self, Error> {
        let fingerprint = match context.root_on_command_line() {
            Some(ExpectedRoot::Fingerprint { fingerprint, .. }) => *fingerprint,
            Some(ExpectedRoot::Certificate(path)) => root_certificate::load(path, endpoint)?.fingerprint(),
            _ => {
                return match Self::without_asking(endpoint, root_of_replaced(endpoint, before))? {
                    Some(trust) => Ok(trust.logged(context)),
                    None => Self::trust_on_first_use(endpoint, transport).await,
                };
            }
        };
        Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Named { is_remembered: false }))
    }

    /// What is known of the service at `endpoint` without asking: as it is named; or by the file of this machine's own
    /// service, on whatever transport; or else from the list of known servers.
    fn without_asking(endpoint: &Endpoint, named: ExpectedRoot) -> Result<Option<Self>, Error> {
        let (fingerprint, source) = match named {
            ExpectedRoot::Certificate(path) => {
                return Self::by_file(endpoint, path, dates(endpoint)).map(Some);
            }
            ExpectedRoot::Fingerprint { fingerprint, is_remembered } => {
                (fingerprint, Source::Named { is_remembered })
            }
            ExpectedRoot::Remote { name, fingerprint } => (fingerprint, Source::Remote(name)),
            ExpectedRoot::Default if endpoint.is_on_this_machine() => {
                let file = transport::system_root_certificate();
                return Self::by_file(endpoint, file, CertificateDates::Ignored).map(Some);
            }
            ExpectedRoot::Default => {
                let servers = KnownServers::of_user().map_err(ServerTrustError::from)?;
                let found = servers.find(endpoint).map_err(ServerTrustError::from)?;
                let Some(KnownServer { fingerprint, line }) = found else { return Ok(None) };
                (fingerprint, Source::Known { file: servers.file(), line })
            }
        };
        Ok(Some(Self::by_fingerprint(endpoint, fingerprint, source)))
    }

    fn by_file(endpoint: &Endpoint, path: PathBuf, dates: CertificateDates) -> Result<Self, Error> {
        let certificate = root_certificate::load(&path, endpoint)?;
        let root = certificate.fingerprint();
        Ok(Self { pin: certificate.into(), dates, root, source: Source::File(path) })
    }

    fn by_fingerprint(endpoint: &Endpoint, root: RootFingerprint, source: Source) -> Self {
        Self { pin: root.into(), dates: dates(endpoint), root, source }
    }

    /// Shows the user whose certificates are presented at `endpoint`, which has to be trusted then.
    async fn trust_on_first_use(endpoint: &Endpoint, transport: &dyn Transport) -> Result<Self, Error> {
        if !prompt::stdin_and_stderr_are_terminals() {
            return Err(ServerTrustError::Unknown(endpoint.clone()).into());
        }
        let tls =
            ClientTls::for_unverified_root(dates(endpoint)).map_err(|source| Error::Tls(source.into()))?;
        let looking = async {
            match transport.dial(endpoint, tls).await {
                Err(ConnectError::ServerUnpinned(PinError::UnverifiedRoot(presented))) => Ok(presented),
                Err(error) => Err(explain(error, endpoint, None)),
                Ok(_) => Err(Error::InvalidReply("the service was trusted without a reason")),
            }
        };
        let presented = dial::within_timeout(endpoint, looking).await?;
        output::tell(&format!(
            "The service at {endpoint} is on another machine, and not trusted yet. The fingerprint of its \
             root is\n  {presented}\nCompare it with what {SHOWS_IT}. If it differs, something else answers, and \
             would get your passphrase."
        ));
        match prompt::confirm_in_full("Do you trust this service?").await? {
            true => Ok(Self::by_fingerprint(endpoint, presented, Source::Named { is_remembered: false })),
            false => Err(ServerTrustError::NotAccepted(endpoint.clone()).into()),
        }
    }

    /// The fingerprint by which the service is known; `None` if it is by a certificate's file.
    pub(crate) fn fingerprint(&self) -> Option<RootFingerprint> {
        (!matches!(self.source, Source::File(_))).then_some(self.root)
    }

    /// Whether a command that names nothing but `endpoint`, where a service with that root has proven itself and was
    /// remembered, trusts it: on this machine that is the system's alone.
    pub(crate) fn is_known_by_address(endpoint: &Endpoint, root: RootFingerprint) -> bool {
        let of_system = || root_certificate::load(&transport::system_root_certificate(), endpoint);
        !endpoint.is_on_this_machine() || of_system().is_ok_and(|system| system.fingerprint() == root)
    }

    fn logged(self, context: &Context) -> Self {
        context.note(|| format!("trusting {}", self.describe()));
        self
    }

    /// By what the service is known, for a person to read.
    pub(crate) fn describe(&self) -> String {
        let root = self.root;
        match &self.source {
            Source::File(path) => format!("the root certificate {}", path.display()),
            Source::Named { .. } => format!("the fingerprint {root}, as given"),
            Source::Remote(name) => format!("the fingerprint {root}, of the remote {name}"),
            Source::Token => format!("the fingerprint {root}, in a token"),
            Source::Known { file, line } => {
                format!("the fingerprint {root}, in line {line} of {}", file.display())
            }
        }
    }

    /// The same service by the system's root certificate, if there is one.
    pub(crate) fn by_system_file(endpoint: &Endpoint) -> Option<Self> {
        Self::by_file(endpoint, transport::system_root_certificate(), CertificateDates::Ignored).ok()
    }

    /// The service at `endpoint` has proven itself. If that is by what the user has written on the command line, it
    /// need not be written again.
    pub(crate) fn remember_named(&self, endpoint: &Endpoint) {
        if let Source::Named { is_remembered: true } = self.source
            && !endpoint.is_on_this_machine()
            && let Ok(servers) = KnownServers::of_user()
        {
            // It is proven, and what it replaces was replaced on purpose.
            let _ = remember(&servers, endpoint, self.root, OnConflict::Replace);
        }
    }

    /// What it means to the user that there is no connection to the service at `endpoint`.
    pub(crate) fn explain(&self, error: ConnectError, endpoint: &Endpoint) -> Error {
        explain(error, endpoint, Some(self))
    }
}

/// Whether dates count for a service that the user names: there is one clock only where the kernel carries the bytes.
/// What listens on a loopback address may be a tunnel to another machine.
fn dates(endpoint: &Endpoint) -> CertificateDates {
    if matches!(endpoint, Endpoint::Unix(_)) { CertificateDates::Ignored } else { CertificateDates::Enforced }
}

/// How a remote that is replaced names the root of the service at `endpoint`. Nobody is asked about a root that has
/// changed.
fn root_of_replaced(endpoint: &Endpoint, before: Option<&Remote>) -> ExpectedRoot {
    match before {
        Some(Remote { name, endpoint: at, fingerprint: Some(fingerprint) }) if at == endpoint => {
            ExpectedRoot::Remote { name: name.clone(), fingerprint: *fingerprint }
        }
        _ => ExpectedRoot::Default,
    }
}

/// Knows the service from now on, or tells why not, which keeps nobody from using it now.
///
/// # Errors
/// It is known by another fingerprint, which is not to be replaced.
fn remember(
    servers: &KnownServers,
    endpoint: &Endpoint,
    fingerprint: RootFingerprint,
    on_conflict: OnConflict,
) -> Result<(), Error> {
    match servers.remember(endpoint, fingerprint, on_conflict) {
        Ok(false) => {}
        Ok(true) => output::tell(&format!(
            "note: {endpoint} is known by that fingerprint from now on, in {}",
            servers.file().display()
        )),
        Err(fault @ KnownServersError::Contradicted { .. }) => {
            return Err(ServerTrustError::from(fault).into());
        }
        Err(fault) => output::tell(&format!("warning: {endpoint} is not remembered: {fault}")),
    }
    Ok(())
}
