//! The server's side.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, ServerConfig};

use super::verifier::PossessionVerifier;
use super::{ALPN_H2, ALPN_QUIC, Identity, provider};

/// How the service presents itself and examines its clients. Clones are one: a renewal reaches them all.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    identity: Arc<LiveIdentity>,
}

impl ServerTls {
    /// A service that presents `identity` until it is renewed.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.2 or 1.3.
    pub fn new(identity: Identity) -> Result<Self, Error> {
        let provider = provider();
        let verifier = PossessionVerifier::new(&provider);
        let identity = Arc::new(LiveIdentity(RwLock::new(identity)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), identity })
    }

    /// Presents `identity` in every handshake from now on. Connections that exist stay.
    pub fn renew(&self, identity: Identity) {
        *self.identity.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// The same for QUIC: one identity, renewed for both at once, and one examination of clients.
    #[must_use]
    pub fn for_quic(&self) -> Arc<ServerConfig> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![ALPN_QUIC.to_vec()];
        Arc::new(config)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// The identity of the moment.
#[derive(Debug)]
struct LiveIdentity(RwLock<Identity>);

impl ResolvesServerCert for LiveIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}
