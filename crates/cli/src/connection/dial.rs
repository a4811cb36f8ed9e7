//! An attempt to reach an address: how long it may take, and what it means that it fails.

use std::future::Future;
use std::time::Duration;

use transport::{ConnectError, Endpoint};

use crate::error::Error;
use crate::platform;

/// How long reaching the service, its TLS handshake and HTTP/2's may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What comes of an attempt to reach `endpoint`, unless that takes too long.
///
/// # Errors
/// Its own, or that it took too long.
pub(crate) async fn within_timeout<T>(
    endpoint: &Endpoint,
    connecting: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(Error::ConnectTimeout { endpoint: endpoint.clone(), limit: CONNECT_TIMEOUT }))
}

/// What it means to the user that no service was reached at `endpoint`, or none that speaks as one does.
pub(crate) fn explain(error: ConnectError, endpoint: &Endpoint) -> Error {
    match error {
        ConnectError::NotListening { endpoint, source } => Error::NoService { endpoint, source },
        ConnectError::PermissionDenied { endpoint, .. } => {
            let denial = match &endpoint {
                Endpoint::Unix(path) => platform::explain_denial(path),
                other => platform::Denial::Unknown { place: other.to_string() },
            };
            Error::SocketDenied { endpoint, denial }
        }
        source => Error::Connect { endpoint: endpoint.clone(), source },
    }
}
