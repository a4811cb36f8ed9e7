//! quinn's reasons why a client's connection did not come about, as every transport tells them.

use std::io;

use quinn::{ConnectionError, TransportErrorCode};
use transport::tls::Verdict;
use transport::{ConnectError, Endpoint};

pub(crate) fn explain(error: ConnectionError, verdict: &Verdict, endpoint: &Endpoint) -> ConnectError {
    match error {
        // Found out here, not told by the peer.
        ConnectionError::TransportError(fault) => {
            let refusal = verdict.refusal();
            refusal
                .and_then(|refusal| ConnectError::of_server_certificate(&refusal))
                .unwrap_or_else(|| ConnectError::Handshake(io::Error::other(fault)))
        }
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            let why = "the service takes no new connections at the moment; try again";
            ConnectError::Unreachable {
                endpoint: endpoint.clone(),
                source: io::Error::new(io::ErrorKind::ConnectionRefused, why),
            }
        }
        error => ConnectError::Handshake(error.into()),
    }
}
