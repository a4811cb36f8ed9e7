//! The server's side.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::{Error, ServerConfig};

use super::verifier::PossessionVerifier;
use super::{ALPN_H2, provider};

/// How the service presents itself and examines its clients.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// A service whose certificate is resolved at each handshake, so that it can be renewed while
    /// connections live. [`super::Identity::resolver`] makes a resolver of a fixed identity.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.2 or 1.3.
    pub fn new(certificate: Arc<dyn ResolvesServerCert>) -> Result<Self, Error> {
        let provider = provider();
        let verifier = PossessionVerifier::new(&provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}
