//! quinn's reasons why a client's connection did not come about, as every transport tells them.

use std::io;
use std::sync::Arc;

use quinn::rustls::{AlertDescription, CertificateError, Error as TlsError, OtherError};
use quinn::{ConnectionError, TransportErrorCode};
use transport::{ConnectError, Endpoint};

/// The codes of TLS alerts begin here (RFC 9001, 4.8).
const ALERTS: u64 = 0x100;

pub(crate) fn explain(error: ConnectionError, endpoint: &Endpoint) -> ConnectError {
    match error {
        // Found out here, not told by the peer.
        ConnectionError::TransportError(fault) => match verdict(fault.code, &fault.reason) {
            Some(verdict) => ConnectError::ServerUntrusted(verdict),
            None => ConnectError::Handshake(io::Error::other(fault)),
        },
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

/// Why the server's certificate was refused, if it was. Of rustls' error quinn keeps no more than the alert that
/// answers it, and its text.
fn verdict(code: TransportErrorCode, text: &str) -> Option<TlsError> {
    let alert = u8::try_from(u64::from(code).checked_sub(ALERTS)?).ok()?;
    match AlertDescription::from(alert) {
        AlertDescription::UnknownCA => Some(CertificateError::UnknownIssuer.into()),
        AlertDescription::DecryptError => Some(CertificateError::BadSignature.into()),
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            Some(TlsError::Other(OtherError(Arc::new(io::Error::other(text.to_owned())))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rustls answers each of these with, our side reads as the same verdict, or in its words.
    #[test]
    fn a_certificate_s_refusal_is_told_from_other_faults() {
        for fault in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
            CertificateError::BadEncoding,
            CertificateError::Expired,
            CertificateError::NotValidYet,
            CertificateError::NotValidForName,
            CertificateError::InvalidPurpose,
            CertificateError::Revoked,
            CertificateError::ApplicationVerificationFailure,
        ] {
            let error = TlsError::from(fault.clone());
            let alert = AlertDescription::from(fault);
            let verdict = verdict(TransportErrorCode::crypto(alert.into()), &error.to_string());
            let said = verdict.expect("a verdict").to_string();
            assert!(said.ends_with(&error.to_string()), "{said}");
        }
        for code in [
            TransportErrorCode::crypto(AlertDescription::NoApplicationProtocol.into()),
            TransportErrorCode::crypto(AlertDescription::InternalError.into()),
            TransportErrorCode::PROTOCOL_VIOLATION,
            TransportErrorCode::INTERNAL_ERROR,
        ] {
            assert_eq!(verdict(code, ""), None, "{code}");
        }
    }
}
