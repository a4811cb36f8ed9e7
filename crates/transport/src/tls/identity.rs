//! A certificate with its private key, on either side.

use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{RootCertificate, provider, verifier};

/// A certificate and the private key that belongs to it; a server's may have its root with it.
#[derive(Clone, Debug)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

/// Why a certificate and a key are no identity.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate's text holds no PEM certificate.
    #[error("the certificate is not valid PEM")]
    CertificatePem(#[source] pem::Error),
    /// The key's text holds no PEM private key.
    #[error("the private key is not valid PEM")]
    KeyPem(#[source] pem::Error),
    /// The certificate is not X.509.
    #[error("the certificate is not a valid X.509 certificate")]
    Certificate(#[source] rustls::Error),
    /// The key is of a kind that is not supported, or damaged.
    #[error("the private key cannot be used")]
    Key(#[source] rustls::Error),
    /// Each is fine, but they do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads a certificate and a private key (PKCS#8, PKCS#1 or SEC1), both PEM.
    ///
    /// # Errors
    /// Either cannot be read, or they do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let certificate =
            CertificateDer::from_pem_slice(certificate).map_err(IdentityError::CertificatePem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(IdentityError::KeyPem)?;
        Self::from_der(certificate, key)
    }

    /// As [`Identity::from_pem`], from DER.
    ///
    /// # Errors
    /// Either cannot be used, or they do not belong together.
    pub fn from_der(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let key = provider().key_provider.load_private_key(key).map_err(IdentityError::Key)?;
        let certified = verifier::public_key(&certificate).map_err(IdentityError::Certificate)?;
        // rustls' own comparison goes through webpki, which does not read X.509 v1 certificates.
        if key.public_key().is_none_or(|public| public.as_ref() != certified.as_ref()) {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self(Arc::new(CertifiedKey::new(vec![certificate], key))))
    }

    /// Presents `root` too, after the certificate: for clients that know the root by its fingerprint.
    #[must_use]
    pub fn followed_by(&self, root: &RootCertificate) -> Self {
        let chain = self.0.cert.iter().take(1).chain([root.certificate()]).cloned().collect();
        Self(Arc::new(CertifiedKey::new(chain, Arc::clone(&self.0.key))))
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }
}
