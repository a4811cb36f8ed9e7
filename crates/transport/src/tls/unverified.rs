//! What a server says of itself, for a person to read. Nothing here is proven, and nothing may follow from it.

use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::{ALPN_H2, SERVER_NAME, provider};
use crate::ByteStream;

/// The common name of who issued the certificate that the server on `stream` shows, if it shows one.
///
/// Anyone can make such a certificate, and that the server holds its key is not looked at: this says whose name
/// to tell a person, and no more. The handshake is broken off there, so a greeting is all that the server gets.
/// Waits as long as the server keeps silent.
pub async fn unverified_issuer(stream: impl ByteStream) -> Option<String> {
    let provider = provider();
    let recorder = Arc::new(CertificateRecorder {
        schemes: provider.signature_verification_algorithms.supported_schemes(),
        shown: OnceLock::new(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    let name = ServerName::try_from(SERVER_NAME).ok()?;
    // That it fails is how it ends.
    let _ = TlsConnector::from(Arc::new(config)).connect(name, stream).await;

    let (_, certificate) = x509_parser::parse_x509_certificate(recorder.shown.get()?).ok()?;
    let common_name = certificate.issuer().iter_common_name().next()?;
    common_name.as_str().ok().map(str::to_owned)
}

/// Keeps the certificate that it is shown, and refuses it.
#[derive(Debug)]
struct CertificateRecorder {
    schemes: Vec<SignatureScheme>,
    shown: OnceLock<CertificateDer<'static>>,
}

fn refusal() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}

impl ServerCertVerifier for CertificateRecorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // A handshake shows one certificate.
        let _ = self.shown.set(end_entity.clone().into_owned());
        Err(refusal())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refusal())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refusal())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
