//! By what a service has to prove itself, before it hears anything from this client.
//!
//! On this machine that is the root certificate in the system's file. A service on another machine has none here: the
//! user names its root, or it is one that the user has met before, or the user is asked. There is no way to go without.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error as ThisError;
use transport::tls::{ClientTls, Dates, Pin, RootCertificate, RootFingerprint, TlsError, Unpinned};
use transport::{ConnectError, Endpoint, Transport};

use crate::context::{ADDRESS_VARIABLE, Context, NamedRoot, ROOT_CERTIFICATE_VARIABLE};
use crate::error::Error;
use crate::known_servers::{Earlier, Known, KnownServers, KnownServersFault};
use crate::remotes::{Remote, RemoteName};
use crate::{output, prompt, service, text};

/// Larger files hold no root certificate.
const MAX_ROOT_CERTIFICATE: u64 = 1024 * 1024;

/// Why a service on another machine is not trusted. Nothing but a greeting was sent to it.
#[derive(Debug, ThisError)]
pub(crate) enum ServerTrustFault {
    /// The user has not met it yet, and cannot be asked.
    #[error("the service at {0} is on another machine, and not known here yet")]
    Unknown(Endpoint),
    /// The user said no.
    #[error("the service at {0} was not accepted")]
    NotAccepted(Endpoint),
    /// It cannot be known by a fingerprint.
    #[error("the service at {0} presents no root certificate, and cannot be known by a fingerprint")]
    NoRoot(Endpoint),
    /// It is not the one that the user named.
    #[error(
        "the service at {endpoint} has another root than the one named\n  named:    {named}\n  presents: {presented}"
    )]
    OtherThanNamed {
        /// The address.
        endpoint: Endpoint,
        /// The fingerprint that the user gave.
        named: RootFingerprint,
        /// The one that was presented, by whomever.
        presented: RootFingerprint,
    },
    /// It is not the one that was there before.
    #[error(
        "the service at {endpoint} has another root than before\n  known:    {known} (line {line} of {path})\n  presents: {presented}",
        path = file.display()
    )]
    Changed {
        /// The address.
        endpoint: Endpoint,
        /// The fingerprint that is known.
        known: RootFingerprint,
        /// The list of known servers.
        file: PathBuf,
        /// The line in it.
        line: usize,
        /// The one that was presented, by whomever.
        presented: RootFingerprint,
    },
    /// It is not the one that its remote was added for.
    #[error(
        "the service of the remote '{name}', at {endpoint}, has another root than before\n  known:    {known}\n  \
         presents: {presented}"
    )]
    RemoteChanged {
        /// What the remote is called.
        name: RemoteName,
        /// The address.
        endpoint: Endpoint,
        /// The remote's fingerprint.
        known: RootFingerprint,
        /// The one that was presented, by whomever.
        presented: RootFingerprint,
    },
    /// It is not the one that made a token.
    #[error(
        "the service at {endpoint} is not the one that the token is for\n  token:    {token}\n  presents: {presented}",
        presented = presented.map_or_else(|| "no root".to_owned(), |presented| presented.to_string())
    )]
    OtherThanToken {
        /// The address.
        endpoint: Endpoint,
        /// The fingerprint in the token.
        token: RootFingerprint,
        /// The one that was presented, by whomever.
        presented: Option<RootFingerprint>,
    },
    /// It is not the one that made a token, by what the user says or knows of it.
    #[error(
        "the token is for a service with another root than {by}\n  token:    {token}\n  expected: {expected}"
    )]
    TokenContradicts {
        /// What says so, as an object of the sentence.
        by: String,
        /// The fingerprint in the token.
        token: RootFingerprint,
        /// The one that was named, or is known.
        expected: RootFingerprint,
    },
    /// Its certificate is not in order, whatever its root.
    #[error("the certificate of the service at {endpoint} is not valid")]
    Invalid {
        /// The address.
        endpoint: Endpoint,
        /// What is wrong with it.
        source: TlsError,
    },
    /// The list of known servers is in the way.
    #[error(transparent)]
    KnownServers(#[from] KnownServersFault),
}

impl ServerTrustFault {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::Unknown(_) => format!(
                "Run the command on a terminal, where you are asked; or give what {TELLS} with --fingerprint, or that \
                 machine's root certificate with --root-cert."
            ),
            Self::NotAccepted(_) => {
                format!("Ask an administrator of that machine what {TELLS}, and give that with --fingerprint.")
            }
            Self::NoRoot(_) => format!(
                "A stock service presents none, and cannot be a remote. Name its address with {ADDRESS_VARIABLE}, copy \
                 its root certificate, {} on that machine, by a way that you trust, and name the copy with --root-cert \
                 or {ROOT_CERTIFICATE_VARIABLE}.",
                transport::system_root_certificate().display()
            ),
            Self::OtherThanNamed { .. } => format!(
                "Nothing secret was sent. Compare both with what {TELLS}: if it is neither, something else answers \
                 at that address."
            ),
            Self::Changed { presented, .. } => {
                format!("{CHANGED}\n  multipass --fingerprint {presented} list")
            }
            Self::RemoteChanged { name, endpoint, presented, .. } => format!(
                "{CHANGED}\n  multipass remote add --replace {name} {} --fingerprint {presented}",
                text::quoted(&endpoint.to_string())
            ),
            Self::OtherThanToken { .. } => format!(
                "Nothing secret was sent, and the token can still be used. Something else answers at that address, or \
                 the service was set up anew since the token was made. Ask whoever gave it to you for the service's \
                 address, and what {TELLS}."
            ),
            Self::TokenContradicts { .. } => format!(
                "Nothing was sent. Somebody may want you to use another service than you think. Ask an administrator \
                 of the service what {TELLS}; if it is what the token says, correct what was expected."
            ),
            Self::Invalid { .. } => {
                "Check this machine's clock; or ask an administrator of that machine to restart the service there, \
                 which renews its certificate."
                    .to_owned()
            }
            Self::KnownServers(fault) => {
                format!("{} Or name the server's root with --fingerprint or --root-cert.", fault.next_step())
            }
        }
    }
}

/// Where the right fingerprint is found.
const TELLS: &str = "`sudo multipassd fingerprint` prints there";
/// What another root than before means; the command that accepts it follows.
const CHANGED: &str = "\
Nothing secret was sent. The service may have been set up anew; or something else answers at that address, and waits \
for your passphrase. Ask an administrator of that machine what `sudo multipassd fingerprint` prints there. Only if it \
is the one presented, accept it with";

/// What to do about a service on another machine that the user has not met yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Ask the user, where there is one.
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
    pub(crate) dates: Dates,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A root certificate's file.
    File(PathBuf),
    /// The user says so, now or in the environment.
    Named { fingerprint: RootFingerprint, is_remembered: bool },
    /// The remote that is in use has it.
    Remote { name: RemoteName, fingerprint: RootFingerprint },
    /// A token says so.
    Token { fingerprint: RootFingerprint },
    /// The user has said so before.
    Known { fingerprint: RootFingerprint, file: PathBuf, line: usize },
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
        match context.named_root()? {
            NamedRoot::Certificate(path) => Self::by_file(context, endpoint, path, dates(endpoint)),
            NamedRoot::Fingerprint { fingerprint, is_remembered } => {
                Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Named { fingerprint, is_remembered }))
            }
            NamedRoot::OfRemote { name, fingerprint } => {
                context.note(|| format!("trusting the fingerprint {fingerprint} of the remote {name}"));
                Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Remote { name, fingerprint }))
            }
            // The system's own service, on whatever transport.
            NamedRoot::Usual if endpoint.is_on_this_machine() => {
                Self::by_file(context, endpoint, transport::system_root_certificate(), Dates::DoNotCount)
            }
            NamedRoot::Usual => Self::by_acquaintance(context, endpoint, transport, unknown).await,
        }
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
        let named = match context.root_on_command_line() {
            Some(NamedRoot::Fingerprint { fingerprint, .. }) => Some(*fingerprint),
            Some(NamedRoot::Certificate(path)) => Some(load_root_certificate(path, endpoint)?.fingerprint()),
            _ => None,
        };
        let fingerprint = match (named, before) {
            (Some(named), _) => named,
            // Nobody is asked about a root that has changed.
            (None, Some(Remote { name, endpoint: at, fingerprint: Some(fingerprint) })) if at == endpoint => {
                let source = Source::Remote { name: name.clone(), fingerprint: *fingerprint };
                return Ok(Self::by_fingerprint(endpoint, *fingerprint, source));
            }
            (None, _) if endpoint.is_on_this_machine() => {
                let path = transport::system_root_certificate();
                return Self::by_file(context, endpoint, path, Dates::DoNotCount);
            }
            (None, _) => match known(context, endpoint)? {
                Some((fingerprint, source)) => {
                    return Ok(Self::by_fingerprint(endpoint, fingerprint, source));
                }
                None if prompt::somebody_sees_and_answers() => meet(endpoint, transport).await?,
                None => return Err(ServerTrustFault::Unknown(endpoint.clone()).into()),
            },
        };
        Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Named { fingerprint, is_remembered: false }))
    }

    fn by_file(context: &Context, endpoint: &Endpoint, path: PathBuf, dates: Dates) -> Result<Self, Error> {
        context.note(|| format!("trusting the root certificate {}", path.display()));
        let pin = load_root_certificate(&path, endpoint)?.into();
        Ok(Self { pin, dates, source: Source::File(path) })
    }

    fn by_fingerprint(endpoint: &Endpoint, fingerprint: RootFingerprint, source: Source) -> Self {
        Self { pin: fingerprint.into(), dates: dates(endpoint), source }
    }

    async fn by_acquaintance(
        context: &Context,
        endpoint: &Endpoint,
        transport: &dyn Transport,
        unknown: Unknown,
    ) -> Result<Self, Error> {
        if let Some((fingerprint, source)) = known(context, endpoint)? {
            return Ok(Self::by_fingerprint(endpoint, fingerprint, source));
        }
        if unknown == Unknown::Refuse || !prompt::somebody_sees_and_answers() {
            return Err(ServerTrustFault::Unknown(endpoint.clone()).into());
        }
        let fingerprint = meet(endpoint, transport).await?;
        let servers = KnownServers::of_user().map_err(ServerTrustFault::from)?;
        remember(&servers, endpoint, fingerprint, Earlier::Contradicts)?;
        Ok(Self::by_fingerprint(endpoint, fingerprint, Source::Named { fingerprint, is_remembered: false }))
    }

    /// The fingerprint by which the service is known; `None` if it is by a certificate's file.
    pub(crate) fn fingerprint(&self) -> Option<RootFingerprint> {
        match &self.source {
            Source::File(_) => None,
            Source::Named { fingerprint, .. }
            | Source::Remote { fingerprint, .. }
            | Source::Token { fingerprint }
            | Source::Known { fingerprint, .. } => Some(*fingerprint),
        }
    }

    /// By the fingerprint in a token for the service at `endpoint`.
    pub(crate) fn by_token(endpoint: &Endpoint, fingerprint: RootFingerprint) -> Self {
        Self { pin: fingerprint.into(), dates: dates(endpoint), source: Source::Token { fingerprint } }
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
        let (expected, by, acquaintance) = match context.named_root()? {
            NamedRoot::Certificate(path) => {
                let expected = load_root_certificate(&path, endpoint)?.fingerprint();
                (expected, format!("the certificate {}", path.display()), Acquaintance(None))
            }
            NamedRoot::Fingerprint { fingerprint, is_remembered } => {
                let earlier = is_remembered.then_some(Earlier::IsReplaced);
                (fingerprint, "the one named".to_owned(), Acquaintance(earlier))
            }
            NamedRoot::OfRemote { name, fingerprint } => {
                (fingerprint, format!("that of the remote '{name}'"), Acquaintance(None))
            }
            NamedRoot::Usual if endpoint.is_on_this_machine() => return Ok(Acquaintance(None)),
            NamedRoot::Usual => {
                check_known(endpoint, token)?;
                return Ok(Acquaintance(Some(Earlier::Contradicts)));
            }
        };
        agree(by, token, expected)?;
        Ok(acquaintance)
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
        match before {
            Some(Remote { name, endpoint: at, fingerprint: Some(fingerprint) }) if at == endpoint => {
                agree(format!("that of the remote '{name}'"), token, *fingerprint)
            }
            _ if endpoint.is_on_this_machine() => Ok(()),
            _ => check_known(endpoint, token),
        }
    }

    /// By what the service is known, for a person to read.
    pub(crate) fn describe(&self) -> String {
        match &self.source {
            Source::File(path) => format!("the root certificate {}", path.display()),
            Source::Named { fingerprint, .. } => format!("the fingerprint {fingerprint}, as it was named"),
            Source::Remote { name, fingerprint } => {
                format!("the fingerprint {fingerprint}, of the remote {name}")
            }
            Source::Token { fingerprint } => format!("the fingerprint {fingerprint}, in a token"),
            Source::Known { fingerprint, file, line } => {
                format!("the fingerprint {fingerprint}, in line {line} of {}", file.display())
            }
        }
    }

    /// The same service by the system's root certificate, if there is one.
    pub(crate) fn by_system_file(context: &Context, endpoint: &Endpoint) -> Option<Self> {
        Self::by_file(context, endpoint, transport::system_root_certificate(), Dates::DoNotCount).ok()
    }

    /// The service at `endpoint` has proven itself. If that is by what the user has written on the command line, it
    /// need not be written again.
    pub(crate) fn is_proven_at(&self, endpoint: &Endpoint) {
        if let Source::Named { fingerprint, is_remembered: true } = self.source
            && !endpoint.is_on_this_machine()
            && let Ok(servers) = KnownServers::of_user()
        {
            // It is proven, and what it replaces was replaced on purpose.
            let _ = remember(&servers, endpoint, fingerprint, Earlier::IsReplaced);
        }
    }

    /// What it means to the user that there is no connection to the service at `endpoint`.
    pub(crate) fn explain(&self, error: ConnectError, endpoint: &Endpoint) -> Error {
        explain(error, endpoint, Some(&self.source))
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
fn dates(endpoint: &Endpoint) -> Dates {
    if matches!(endpoint, Endpoint::Unix(_)) { Dates::DoNotCount } else { Dates::Count }
}

/// Has a token not contradict what is expected; `by` names that as an object of the sentence.
fn agree(by: String, token: RootFingerprint, expected: RootFingerprint) -> Result<(), Error> {
    if token == expected {
        return Ok(());
    }
    Err(ServerTrustFault::TokenContradicts { by, token, expected }.into())
}

/// Has a token not contradict the user's list of known servers.
fn check_known(endpoint: &Endpoint, token: RootFingerprint) -> Result<(), Error> {
    let Some((file, Known { fingerprint, line })) = in_list(endpoint)? else { return Ok(()) };
    let by = format!("{endpoint} is known by, in line {line} of {}", file.display());
    agree(by, token, fingerprint)
}

/// The list of known servers, and its line for the one at `endpoint`.
fn in_list(endpoint: &Endpoint) -> Result<Option<(PathBuf, Known)>, ServerTrustFault> {
    let servers = KnownServers::of_user()?;
    Ok(servers.find(endpoint)?.map(|known| (servers.file(), known)))
}

/// By what the user trusts the one at `endpoint`.
fn known(context: &Context, endpoint: &Endpoint) -> Result<Option<(RootFingerprint, Source)>, Error> {
    let Some((file, Known { fingerprint, line })) = in_list(endpoint)? else { return Ok(None) };
    context.note(|| format!("trusting the fingerprint {fingerprint} in {}", file.display()));
    Ok(Some((fingerprint, Source::Known { fingerprint, file, line })))
}

/// Shows the user whose certificates are presented at `endpoint`, and returns the root if the user trusts it.
async fn meet(endpoint: &Endpoint, transport: &dyn Transport) -> Result<RootFingerprint, Error> {
    let tls = ClientTls::for_unverified_root(dates(endpoint)).map_err(|source| Error::Tls(source.into()))?;
    let looking = async {
        match transport.dial(endpoint, tls).await {
            Err(ConnectError::ServerUnpinned(Unpinned::UnverifiedRoot(presented))) => Ok(presented),
            Err(error) => Err(explain(error, endpoint, None)),
            Ok(_) => Err(Error::Answer("the service was trusted without a reason")),
        }
    };
    let presented = service::in_time(endpoint, looking).await?;
    output::tell(&format!(
        "The service at {endpoint} is on another machine, and not known here yet. The fingerprint of its root is\n  \
         {presented}\nCompare it with what {TELLS}. If it differs, something else answers, and would get your \
         passphrase."
    ));
    match prompt::confirm_in_full("Do you trust this service?").await? {
        true => Ok(presented),
        false => Err(ServerTrustFault::NotAccepted(endpoint.clone()).into()),
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

fn explain(error: ConnectError, endpoint: &Endpoint, source: Option<&Source>) -> Error {
    let at = endpoint.clone();
    let fault = match (error, source) {
        (ConnectError::ServerUntrusted(source), Some(Source::File(root))) => {
            return Error::ServerUntrusted { endpoint: at, root: root.clone(), source: source.into() };
        }
        (ConnectError::ServerUntrusted(source), _) => ServerTrustFault::Invalid { endpoint: at, source },
        (
            ConnectError::ServerUnpinned(Unpinned::UnverifiedRoot(presented)),
            Some(Source::Known { fingerprint, file, line }),
        ) => ServerTrustFault::Changed {
            endpoint: at,
            known: *fingerprint,
            file: file.clone(),
            line: *line,
            presented,
        },
        (
            ConnectError::ServerUnpinned(Unpinned::UnverifiedRoot(presented)),
            Some(Source::Remote { name, fingerprint }),
        ) => ServerTrustFault::RemoteChanged {
            name: name.clone(),
            endpoint: at,
            known: *fingerprint,
            presented,
        },
        (
            ConnectError::ServerUnpinned(Unpinned::UnverifiedRoot(presented)),
            Some(Source::Named { fingerprint, .. }),
        ) => ServerTrustFault::OtherThanNamed { endpoint: at, named: *fingerprint, presented },
        (
            ConnectError::ServerUnpinned(Unpinned::UnverifiedRoot(presented)),
            Some(Source::Token { fingerprint }),
        ) => {
            ServerTrustFault::OtherThanToken { endpoint: at, token: *fingerprint, presented: Some(presented) }
        }
        (ConnectError::ServerUnpinned(Unpinned::NoRoot), Some(Source::Token { fingerprint })) => {
            ServerTrustFault::OtherThanToken { endpoint: at, token: *fingerprint, presented: None }
        }
        (ConnectError::ServerUnpinned(Unpinned::NoRoot), _) => ServerTrustFault::NoRoot(at),
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
