//! The trust that a token brings: its service has the root in it, and that must not contradict what the user knows.

use transport::Endpoint;
use transport::tls::RootFingerprint;

use super::{ServerTrust, ServerTrustFault, Source, of_remote, remember};
use crate::connection::known_servers::{Earlier, KnownServers};
use crate::connection::{Context, NamedRoot, Remote};
use crate::error::Error;
use crate::terminal::output;

impl ServerTrust {
    /// By the fingerprint in a token for the service at `endpoint`.
    pub(crate) fn by_token(endpoint: &Endpoint, fingerprint: RootFingerprint) -> Self {
        Self::by_fingerprint(endpoint, fingerprint, Source::Token)
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
