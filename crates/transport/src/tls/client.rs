//! The client's side.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, SignatureScheme};

use super::pinned::{CertificateDates, PinnedRoot, PresentedValidity, Verdict};
use super::{ALPN_H2, ALPN_QUIC, Identity, Pin, SERVER_NAME, provider};
use crate::ByteStream;

/// What a client trusts, and who it is.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// The verifier in it; a test's own configuration has another.
    verifier: Option<PinnedRoot>,
}

impl ClientTls {
    /// A client that trusts servers under the pinned root and presents `identity`, or no certificate.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.2 or 1.3.
    pub fn new(
        pin: impl Into<Pin>,
        dates: CertificateDates,
        identity: Option<Identity>,
    ) -> Result<Self, rustls::Error> {
        Self::with_verifier(PinnedRoot::new(Some(pin.into()), dates), identity)
    }

    /// A client that trusts no server, and is there to see which root one presents. Dialing always fails: with
    /// [`ConnectError::ServerUnpinned`](crate::ConnectError::ServerUnpinned), which names the root, where a pin
    /// of that root would do. The server gets the client's greeting and an alert, and nothing else.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.2 or 1.3.
    pub fn for_unverified_root(dates: CertificateDates) -> Result<Self, rustls::Error> {
        Self::with_verifier(PinnedRoot::new(None, dates), None)
    }

    fn with_verifier(verifier: PinnedRoot, identity: Option<Identity>) -> Result<Self, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier.clone()));
        let mut config = match identity {
            // rustls' own `with_client_auth_cert` refuses X.509 v1 certificates.
            Some(identity) => builder.with_client_cert_resolver(Arc::new(Always(identity))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier: Some(verifier) })
    }

    /// A client with any configuration, to test servers with.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn unverified_from_config(config: ClientConfig) -> Self {
        Self { config: Arc::new(config), verifier: None }
    }

    /// The same, and what servers present in handshakes that use it.
    #[must_use]
    pub fn showing_what_is_presented(&self) -> (Self, PresentedValidity) {
        let presented = PresentedValidity::default();
        let mut config = (*self.config).clone();
        let verifier = self.verifier.as_ref().map(|verifier| verifier.showing(presented.clone()));
        if let Some(verifier) = &verifier {
            config.dangerous().set_certificate_verifier(Arc::new(verifier.clone()));
        }
        (Self { config: Arc::new(config), verifier }, presented)
    }

    /// The same for QUIC, and the verdict on the server's certificate in handshakes that use it: of an error, quinn
    /// keeps no more than the text.
    #[must_use]
    pub fn for_quic(&self) -> (Arc<ClientConfig>, Verdict) {
        let (mut config, verdict) = ((*self.config).clone(), Verdict::default());
        config.alpn_protocols = vec![ALPN_QUIC.to_vec()];
        if let Some(verifier) = &self.verifier {
            config.dangerous().set_certificate_verifier(Arc::new(verifier.telling(verdict.clone())));
        }
        (Arc::new(config), verdict)
    }

    pub(crate) async fn connect<S: ByteStream>(&self, stream: S) -> std::io::Result<TlsStream<S>> {
        let name = ServerName::try_from(SERVER_NAME).map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

/// Presents one identity, whatever authorities the server names.
#[derive(Debug)]
struct Always(Identity);

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
