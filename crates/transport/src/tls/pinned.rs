//! The client's check of the server's certificate: it must lead to the one pinned root.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// Whether a server certificate's dates count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// They do, as everywhere.
    Count,
    /// They do not: the server is on this machine, both sides have the same clock, and the root is
    /// pinned. A clock that is wrong, or a certificate not renewed in time, would lock every client out
    /// and protect none.
    DoNotCount,
}

/// Verifies as webpki does, under one root, by the dates or without them.
#[derive(Debug)]
pub(super) struct PinnedRoot {
    webpki: Arc<WebPkiServerVerifier>,
    dates: Dates,
}

impl PinnedRoot {
    pub(super) fn new(
        root: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
        dates: Dates,
    ) -> Result<Arc<Self>, Error> {
        let webpki = WebPkiServerVerifier::builder_with_provider(root, provider)
            .build()
            .map_err(|error| Error::Other(OtherError(Arc::new(error))))?;
        Ok(Arc::new(Self { webpki, dates }))
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let at = match self.dates {
            Dates::Count => now,
            Dates::DoNotCount => start_of(end_entity)?,
        };
        self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// The moment from which a certificate is valid: a time at which its dates are in order.
fn start_of(certificate: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let seconds = u64::try_from(certificate.validity().not_before.timestamp()).unwrap_or(0);
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}
