//! What a failed connection says of the trust in the service.

use transport::tls::PinError;
use transport::{ConnectError, Endpoint};

use super::{ServerTrust, ServerTrustError, Source};
use crate::connection::dial;
use crate::error::Error;

/// What it means to the user that there is no connection to the service at `endpoint`, which is known by `trust` if by
/// anything.
pub(super) fn explain(error: ConnectError, endpoint: &Endpoint, trust: Option<&ServerTrust>) -> Error {
    let at = endpoint.clone();
    let fault = match (error, trust.map(|trust| (&trust.source, trust.root))) {
        (ConnectError::ServerUntrusted(source), Some((Source::File(root), _))) => {
            return Error::ServerUntrusted { endpoint: at, root: root.clone(), source: source.into() };
        }
        (ConnectError::ServerUntrusted(source), _) => ServerTrustError::Invalid { endpoint: at, source },
        (ConnectError::ServerUnpinned(PinError::NoRoot), Some((Source::Token, token))) => {
            ServerTrustError::OtherThanToken { endpoint: at, token, presented: None }
        }
        (ConnectError::ServerUnpinned(PinError::NoRoot), _) => ServerTrustError::NoRoot(at),
        (ConnectError::ServerUnpinned(PinError::UnverifiedRoot(presented)), Some((source, known))) => {
            match source {
                Source::Known { file, line } => ServerTrustError::Changed {
                    endpoint: at,
                    known,
                    file: file.clone(),
                    line: *line,
                    presented,
                },
                Source::Remote(name) => {
                    ServerTrustError::RemoteChanged { name: name.clone(), endpoint: at, known, presented }
                }
                Source::Token => ServerTrustError::OtherThanToken {
                    endpoint: at,
                    token: known,
                    presented: Some(presented),
                },
                Source::Named { .. } | Source::File(_) => {
                    ServerTrustError::OtherThanNamed { endpoint: at, named: known, presented }
                }
            }
        }
        (error, _) => return dial::explain(error, endpoint),
    };
    fault.into()
}
