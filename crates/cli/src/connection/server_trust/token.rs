//! The trust that a token brings: its service has the root in it, and that must not contradict what the user knows.

use transport::Endpoint;
use transport::tls::RootFingerprint;

use super::{ServerTrust, ServerTrustError, Source, remember, root_of_replaced};
use crate::connection::known_servers::KnownServers;
use crate::connection::{Context, ExpectedRoot, Remote};
use crate::error::Error;
use crate::files::list::OnConflict;
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
    pub(crate) fn check_token_of_service(
        context: &Context,
        endpoint: &Endpoint,
        token: RootFingerprint,
    ) -> Result<KnownServerUpdate, Error> {
        let named = context.expected_root()?;
        let on_conflict = match named {
            ExpectedRoot::Fingerprint { is_remembered: true, .. } => Some(OnConflict::Replace),
            ExpectedRoot::Default => Some(OnConflict::Refuse),
            _ => None,
        };
        Self::check_token(endpoint, token, named)?;
        Ok(KnownServerUpdate(on_conflict))
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
        Self::check_token(endpoint, token, root_of_replaced(endpoint, before))
    }

    fn check_token(endpoint: &Endpoint, token: RootFingerprint, named: ExpectedRoot) -> Result<(), Error> {
        // A user's own daemon has another root than the system's service.
        if named == ExpectedRoot::Default && endpoint.is_on_this_machine() {
            return Ok(());
        }
        let Some(Self { root: expected, source, .. }) = Self::without_asking(endpoint, named)? else {
            return Ok(());
        };
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
        Err(ServerTrustError::TokenContradicts { by, token, expected }.into())
    }
}

/// How a service that has let this client in for a token is remembered: over what is known of it already; not at all if
/// it is on this machine, or named elsewhere.
#[derive(Debug)]
pub(crate) struct KnownServerUpdate(Option<OnConflict>);

impl KnownServerUpdate {
    /// The service at `endpoint` has proven itself by that root.
    pub(crate) fn apply(&self, endpoint: &Endpoint, root: RootFingerprint) {
        let Some(on_conflict) = self.0.filter(|_| !endpoint.is_on_this_machine()) else { return };
        let remembered = KnownServers::of_user()
            .map_err(ServerTrustError::from)
            .map_err(Error::from)
            .and_then(|servers| remember(&servers, endpoint, root, on_conflict));
        // The client is let in all the same.
        if let Err(error) = remembered {
            output::tell(&format!("warning: {endpoint} is not remembered: {}", error.message()));
        }
    }
}
