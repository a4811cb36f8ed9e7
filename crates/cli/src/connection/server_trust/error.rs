//! Why a service is not trusted, and what the user can do about it.

use std::path::PathBuf;

use thiserror::Error as ThisError;
use transport::Endpoint;
use transport::tls::{RootFingerprint, TlsError};

use crate::connection::known_servers::KnownServersError;
use crate::connection::{ADDRESS_VARIABLE, ROOT_CERTIFICATE_VARIABLE, RemoteName};
use crate::terminal::text;

/// Why a service on another machine is not trusted. Nothing but a greeting was sent to it.
#[derive(Debug, ThisError)]
pub(crate) enum ServerTrustError {
    /// The user has not met it yet, and cannot be asked.
    #[error("the service at {0} is on another machine, and not trusted yet")]
    Unknown(Endpoint),
    /// The user said no.
    #[error("the service at {0} was not accepted")]
    NotAccepted(Endpoint),
    /// It cannot be known by a fingerprint.
    #[error("the service at {0} presents no root certificate, and cannot be known by a fingerprint")]
    NoRoot(Endpoint),
    /// It is not the one that the user named.
    #[error(
        "the service at {endpoint} presents another root than the one named\n  named:    {named}\n  presents: {presented}"
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
        "the service at {endpoint} presents another root than before\n  known:    {known} (line {line} of {path})\n  presents: {presented}",
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
        "the service of the remote '{name}', at {endpoint}, presents another root than before\n  known:    {known}\n  \
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
    KnownServers(#[from] KnownServersError),
}

impl ServerTrustError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::Unknown(_) => format!(
                "Run the command on a terminal, where you are asked; or give what {SHOWS_IT} with --fingerprint, or that \
                 machine's root certificate with --root-cert."
            ),
            Self::NotAccepted(_) => {
                format!("Ask an administrator of that machine what {SHOWS_IT}, and give that with --fingerprint.")
            }
            Self::NoRoot(_) => format!(
                "A stock service presents none, and cannot be a remote. Name its address with {ADDRESS_VARIABLE}, copy \
                 its root certificate, {} on that machine, by a way that you trust, and name the copy with --root-cert \
                 or {ROOT_CERTIFICATE_VARIABLE}.",
                transport::system_root_certificate().display()
            ),
            Self::OtherThanNamed { .. } => format!(
                "Nothing secret was sent. Compare both with what {SHOWS_IT}: if it is neither, something else answers \
                 at that address."
            ),
            Self::Changed { presented, .. } => {
                format!("{CHANGED}\n  multipass --fingerprint {presented} list")
            }
            Self::RemoteChanged { name, endpoint, presented, .. } => format!(
                "{CHANGED}\n  multipass remote add --replace {name} {} --fingerprint {presented}",
                text::shell_quoted(&endpoint.to_string())
            ),
            Self::OtherThanToken { .. } => format!(
                "Nothing secret was sent, and the token can still be used. Something else answers at that address, or \
                 the service has got a new root since the token was made. Ask whoever gave it to you for the service's \
                 address, and what {SHOWS_IT}."
            ),
            Self::TokenContradicts { .. } => format!(
                "Nothing was sent. Somebody may want you to use another service than you think. Ask an administrator \
                 of the service what {SHOWS_IT}; if it is what the token says, correct what was expected."
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
pub(super) const SHOWS_IT: &str = "`sudo multipassd fingerprint` prints there";
/// What another root than before means; the command that accepts it follows.
const CHANGED: &str = "\
Nothing secret was sent. The service may have got a new root; or something else answers at that address, and waits \
for your passphrase. Ask an administrator of that machine what `sudo multipassd fingerprint` prints there. Only if it \
is the one presented, accept it with";
