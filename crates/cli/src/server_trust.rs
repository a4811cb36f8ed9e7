//! By what a service has to prove itself, before it hears anything from this client.
//!
//! On this machine that is the root certificate in the system's file. A service on another machine has none here: the
//! user names its root, or it is one that the user has met before, or the user is asked. There is no way to go without.

mod fault;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use transport::tls::{CertificateDates, ClientTls, Pin, PinError, RootCertificate, RootFingerprint};
use transport::{ConnectError, Endpoint, Transport};

pub(crate) use self::fault::ServerTrustFault;
use self::fault::TELLS;
use crate::context::{Context, NamedRoot};
use crate::error::Error;
use crate::known_servers::{Earlier, Known, KnownServers, KnownServersFault};
use crate::remotes::{Remote, RemoteName};
use crate::{output, prompt, service};

/// Larger files hold no root certificate.
const MAX_ROOT_CERTIFICATE: u64 = 1024 * 1024;

/// What to do about a service on another machine that the user has not met yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
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
        unknown: Unknown,
    ) -> Result<Self, Error> {
        if let Some(trust) = Self::known(endpoint, context.named_root()?)? {
            return Ok(trust.noted(context));
        }
        if unknown == Unknown::Refuse {
            return Err(ServerTrustFault::Unknown(endpoint.clone()).into());
        }
        let trust = Self::meet(endpoint, transport).await?;
        let servers = KnownServers::of_user().map_err(ServerTrustFault::from)?;
        remember(&servers, endpoint, trust.root, Earlier::Contradicts)?;
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
            Some(NamedRoot::Fingerprint { fingerprint, .. }) => *fingerprint,
            Some(NamedRoot::Certificate(path)) => load_root_certificate(path, endpoint)?.fingerprint(),
            _ => {
                return match Self::known(endpoint, of_remote(endpoint, before))? {
                    Some(trust) => Ok(trust.noted(context)),
                    None => Self::meet(endpoint, transport).await,
                };
            }
        };
        Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Named { is_remembered: false }))
    }

    /// What is known of the service at `endpoint` without asking: as it is named; or by the file of this machine's own
    /// service, on whatever transport; or else from the list of known servers.
    fn known(endpoint: &Endpoint, named: NamedRoot) -> Result<Option<Self>, Error> {
        let (fingerprint, source) = match named {
            NamedRoot::Certificate(path) => return Self::by_file(endpoint, path, dates(endpoint)).map(Some),
            NamedRoot::Fingerprint { fingerprint, is_remembered } => {
                (fingerprint, Source::Named { is_remembered })
            }
            NamedRoot::OfRemote { name, fingerprint } => (fingerprint, Source::Remote(name)),
            NamedRoot::Usual if endpoint.is_on_this_machine() => {
                let file = transport::system_root_certificate();
                return Self::by_file(endpoint, file, CertificateDates::Ignored).map(Some);
            }
            NamedRoot::Usual => {
                let servers = KnownServers::of_user().map_err(ServerTrustFault::from)?;
                let found = servers.find(endpoint).map_err(ServerTrustFault::from)?;
                let Some(Known { fingerprint, line }) = found else { return Ok(None) };
                (fingerprint, Source::Known { file: servers.file(), line })
            }
        };
        Ok(Some(Self::by_fingerprint(endpoint, fingerprint, source)))
    }

    fn by_file(endpoint: &Endpoint, path: PathBuf, dates: CertificateDates) -> Result<Self, Error> {
        let certificate = load_root_certificate(&path, endpoint)?;
        let root = certificate.fingerprint();
        Ok(Self { pin: certificate.into(), dates, root, source: Source::File(path) })
    }

    fn by_fingerprint(endpoint: &Endpoint, root: RootFingerprint, source: Source) -> Self {
        Self { pin: root.into(), dates: dates(endpoint), root, source }
    }

    /// Shows the user whose certificates are presented at `endpoint`, which has to be trusted then.
    async fn meet(endpoint: &Endpoint, transport: &dyn Transport) -> Result<Self, Error> {
        if !prompt::somebody_sees_and_answers() {
            return Err(ServerTrustFault::Unknown(endpoint.clone()).into());
        }
        let tls =
            ClientTls::for_unverified_root(dates(endpoint)).map_err(|source| Error::Tls(source.into()))?;
        let looking = async {
            match transport.dial(endpoint, tls).await {
                Err(ConnectError::ServerUnpinned(PinError::UnverifiedRoot(presented))) => Ok(presented),
                Err(error) => Err(explain(error, endpoint, None)),
                Ok(_) => Err(Error::Answer("the service was trusted without a reason")),
            }
        };
        let presented = service::in_time(endpoint, looking).await?;
        output::tell(&format!(
            "The service at {endpoint} is on another machine, and not trusted yet. The fingerprint of its \
             root is\n  {presented}\nCompare it with what {TELLS}. If it differs, something else answers, and \
             would get your passphrase."
        ));
        match prompt::confirm_in_full("Do you trust this service?").await? {
            true => Ok(Self::by_fingerprint(endpoint, presented, Source::Named { is_remembered: false })),
            false => Err(ServerTrustFault::NotAccepted(endpoint.clone()).into()),
        }
    }

    /// The fingerprint by which the service is known; `None` if it is by a certificate's file.
    pub(crate) fn fingerprint(&self) -> Option<RootFingerprint> {
        (!matches!(self.source, Source::File(_))).then_some(self.root)
    }

    /// By the fingerprint in a token for the service at `endpoint`.
    pub(crate) fn by_token(endpoint: &Endpoint, fingerprint: RootFingerprint) -> Self {
        Self::by_fingerprint(endpoint, fingerprint, Source::Token)
    }

    /// Whether a command that names nothing but `endpoint`, where a service with that root has proven itself and was
    /// remembered, trusts it: on this machine that is the system's alone.
    pub(crate) fn is_known_by_address(endpoint: &Endpoint, root: RootFingerprint) -> bool {
        let of_system = || load_root_certificate(&transport::system_root_certificate(), endpoint);
        !endpoint.is_on_this_machine() || of_system().is_ok_and(|system| system.fingerprint() == root)
    }

    /// What the user says or knows of the service at `endpoint`, to whom a token says that it has that root.
    ///
    /// # Errors
    /// It has another one; or what is known cannot be read.
    pub(crate) fn acquaintance(
        context: &Context,
        endpoint: &Endpoint,
        token: RootFingerprint,
    ) -> Result<Acquaintance, Error> {
        let named = context.named_root()?;
        let earlier = match named {
            NamedRoot::Fingerprint { is_remembered: true, .. } => Some(Earlier::IsReplaced),
            NamedRoot::Usual => Some(Earlier::Contradicts),
            _ => None,
        };
        Self::check_token(endpoint, token, named)?;
        Ok(Acquaintance(earlier))
    }

    /// Has a token that is to make a remote not contradict what the user knows of the service at `endpoint`: as the
    /// remote that would be replaced, or from the list of known servers.
    ///
    /// # Errors
    /// It does; or what is known cannot be read.
    pub(crate) fn check_token_of_remote(
        endpoint: &Endpoint,
        token: RootFingerprint,
        before: Option<&Remote>,
    ) -> Result<(), Error> {
        Self::check_token(endpoint, token, of_remote(endpoint, before))
    }

    fn check_token(endpoint: &Endpoint, token: RootFingerprint, named: NamedRoot) -> Result<(), Error> {
        // A user's own daemon has another root than the system's service.
        if named == NamedRoot::Usual && endpoint.is_on_this_machine() {
            return Ok(());
        }
        let Some(Self { root: expected, source, .. }) = Self::known(endpoint, named)? else { return Ok(()) };
        if token == expected {
            return Ok(());
        }
        // As an object of the sentence.
        let by = match source {
            Source::File(path) => format!("the certificate {}", path.display()),
            Source::Named { .. } | Source::Token => "the one named".to_owned(),
            Source::Remote(name) => format!("that of the remote '{name}'"),
            Source::Known { file, line } => {
                format!("{endpoint} is known by, in line {line} of {}", file.display())
            }
        };
        Err(ServerTrustFault::TokenContradicts { by, token, expected }.into())
    }

    fn noted(self, context: &Context) -> Self {
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
    pub(crate) fn is_proven_at(&self, endpoint: &Endpoint) {
        if let Source::Named { is_remembered: true } = self.source
            && !endpoint.is_on_this_machine()
            && let Ok(servers) = KnownServers::of_user()
        {
            // It is proven, and what it replaces was replaced on purpose.
            let _ = remember(&servers, endpoint, self.root, Earlier::IsReplaced);
        }
    }

    /// What it means to the user that there is no connection to the service at `endpoint`.
    pub(crate) fn explain(&self, error: ConnectError, endpoint: &Endpoint) -> Error {
        explain(error, endpoint, Some(self))
    }
}

/// How a service that has let this client in for a token is remembered: over what is known of it already; not at all if
/// it is on this machine, or named elsewhere.
#[derive(Debug)]
pub(crate) struct Acquaintance(Option<Earlier>);

impl Acquaintance {
    /// The service at `endpoint` has proven itself by that root.
    pub(crate) fn remember(&self, endpoint: &Endpoint, root: RootFingerprint) {
        let Some(earlier) = self.0.filter(|_| !endpoint.is_on_this_machine()) else { return };
        let remembered = KnownServers::of_user()
            .map_err(ServerTrustFault::from)
            .map_err(Error::from)
            .and_then(|servers| remember(&servers, endpoint, root, earlier));
        // The client is let in all the same.
        if let Err(error) = remembered {
            output::tell(&format!("warning: {endpoint} is not remembered: {}", error.message()));
        }
    }
}

/// Whether dates count for a service that the user names: there is one clock only where the kernel carries the bytes.
/// What listens on a loopback address may be a tunnel to another machine.
fn dates(endpoint: &Endpoint) -> CertificateDates {
    if matches!(endpoint, Endpoint::Unix(_)) { CertificateDates::Ignored } else { CertificateDates::Enforced }
}

/// How a remote that is replaced names the root of the service at `endpoint`. Nobody is asked about a root that has
/// changed.
fn of_remote(endpoint: &Endpoint, before: Option<&Remote>) -> NamedRoot {
    match before {
        Some(Remote { name, endpoint: at, fingerprint: Some(fingerprint) }) if at == endpoint => {
            NamedRoot::OfRemote { name: name.clone(), fingerprint: *fingerprint }
        }
        _ => NamedRoot::Usual,
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
    earlier: Earlier,
) -> Result<(), Error> {
    match servers.remember(endpoint, fingerprint, earlier) {
        Ok(false) => {}
        Ok(true) => output::tell(&format!(
            "note: {endpoint} is known by that fingerprint from now on, in {}",
            servers.file().display()
        )),
        Err(fault @ KnownServersFault::Contradicted { .. }) => {
            return Err(ServerTrustFault::from(fault).into());
        }
        Err(fault) => output::tell(&format!("warning: {endpoint} is not remembered: {fault}")),
    }
    Ok(())
}

fn explain(error: ConnectError, endpoint: &Endpoint, trust: Option<&ServerTrust>) -> Error {
    let at = endpoint.clone();
    let fault = match (error, trust.map(|trust| (&trust.source, trust.root))) {
        (ConnectError::ServerUntrusted(source), Some((Source::File(root), _))) => {
            return Error::ServerUntrusted { endpoint: at, root: root.clone(), source: source.into() };
        }
        (ConnectError::ServerUntrusted(source), _) => ServerTrustFault::Invalid { endpoint: at, source },
        (ConnectError::ServerUnpinned(PinError::NoRoot), Some((Source::Token, token))) => {
            ServerTrustFault::OtherThanToken { endpoint: at, token, presented: None }
        }
        (ConnectError::ServerUnpinned(PinError::NoRoot), _) => ServerTrustFault::NoRoot(at),
        (ConnectError::ServerUnpinned(PinError::UnverifiedRoot(presented)), Some((source, known))) => {
            match source {
                Source::Known { file, line } => ServerTrustFault::Changed {
                    endpoint: at,
                    known,
                    file: file.clone(),
                    line: *line,
                    presented,
                },
                Source::Remote(name) => {
                    ServerTrustFault::RemoteChanged { name: name.clone(), endpoint: at, known, presented }
                }
                Source::Token => ServerTrustFault::OtherThanToken {
                    endpoint: at,
                    token: known,
                    presented: Some(presented),
                },
                Source::Named { .. } | Source::File(_) => {
                    ServerTrustFault::OtherThanNamed { endpoint: at, named: known, presented }
                }
            }
        }
        (error, _) => return service::unreached(error, endpoint),
    };
    fault.into()
}

fn load_root_certificate(path: &Path, endpoint: &Endpoint) -> Result<RootCertificate, Error> {
    let path = path.to_owned();
    match read_bounded(&path) {
        Ok(text) => {
            RootCertificate::from_pem(&text).map_err(|source| Error::RootCertificateInvalid { path, source })
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(match endpoint {
            // A service that has never run has left neither: that it does not run is then what the user
            // needs to hear.
            Endpoint::Unix(socket) if !socket.exists() => {
                Error::NoService { endpoint: endpoint.clone(), source }
            }
            _ => Error::RootCertificateMissing { path },
        }),
        Err(source) => Err(Error::RootCertificateUnreadable { path, source }),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_ROOT_CERTIFICATE).read_to_end(&mut content)?;
    Ok(content)
}
