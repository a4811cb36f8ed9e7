//! The client's side.

use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, SignatureScheme};

use super::pinned::{Dates, PinnedRoot};
use super::{ALPN_H2, ALPN_QUIC, Identity, SERVER_NAME, provider};
use crate::ByteStream;

/// The root certificate that a client pins.
#[derive(Clone, Debug)]
pub struct RootCertificate(Arc<RootCertStore>);

/// Why a text is no root certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootCertificateError {
    /// No PEM certificate in it.
    #[error("it holds no PEM certificate")]
    Pem(#[source] pem::Error),
    /// Not usable as a root.
    #[error("its certificate cannot serve as a root")]
    Certificate(#[source] rustls::Error),
}

impl RootCertificate {
    /// Reads the first PEM certificate in `text`.
    ///
    /// # Errors
    /// There is none, or it cannot serve as a root.
    pub fn from_pem(text: &[u8]) -> Result<Self, RootCertificateError> {
        let certificate = CertificateDer::from_pem_slice(text).map_err(RootCertificateError::Pem)?;
        let mut store = RootCertStore::empty();
        store.add(certificate).map_err(RootCertificateError::Certificate)?;
        Ok(Self(Arc::new(store)))
    }
}

/// What a client trusts, and who it is.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// A client that trusts servers under `root` and presents `identity`, or no certificate.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.2 or 1.3.
    pub fn new(
        root: RootCertificate,
        dates: Dates,
        identity: Option<Identity>,
    ) -> Result<Self, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(PinnedRoot::new(root.0, provider(), dates)?);
        let mut config = match identity {
            // rustls' own `with_client_auth_cert` refuses X.509 v1 certificates.
            Some(identity) => builder.with_client_cert_resolver(Arc::new(Always(identity))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// A client with any configuration, to test servers with.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn unverified_from_config(config: ClientConfig) -> Self {
        Self(Arc::new(config))
    }

    /// The same for QUIC.
    #[must_use]
    pub fn for_quic(&self) -> Arc<ClientConfig> {
        let mut config = (*self.0).clone();
        config.alpn_protocols = vec![ALPN_QUIC.to_vec()];
        Arc::new(config)
    }

    pub(crate) async fn connect<S: ByteStream>(&self, stream: S) -> std::io::Result<TlsStream<S>> {
        let name = ServerName::try_from(SERVER_NAME).map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
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
