//! Certificates of every kind that a client may present, and the server's own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, PublicKeyData, RsaKeySize, SigningKey as _,
};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::der;
use crate::tls::{CertificateDates, ClientTls, Identity, RootCertificate, ServerTls};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A certificate and its private key.
pub struct TestIdentity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl TestIdentity {
    /// A fresh client as the stock one makes it: [`Kind::P256`].
    #[must_use]
    pub fn client() -> Self {
        Kind::P256.generate()
    }

    /// An RSA key of 1024 bits, which every use refuses. Always the same one: no library here makes such.
    #[must_use]
    pub fn rsa_1024() -> Self {
        Self {
            certificate: CertificateDer::from_pem_slice(include_bytes!("fixed/rsa_1024.pem")).unwrap(),
            key: PrivateKeyDer::from_pem_slice(include_bytes!("fixed/rsa_1024_key.pem")).unwrap(),
        }
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate as in the file `multipass_cert.pem`.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.certificate.to_vec()))
    }

    /// The private key, PKCS#8 DER.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.secret_der()
    }

    /// The private key as in the file `multipass_cert_key.pem`: PKCS#8.
    #[must_use]
    pub fn key_pem(&self) -> String {
        pem::encode(&pem::Pem::new("PRIVATE KEY", self.key.secret_der().to_vec()))
    }

    /// As the product uses it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::from_der(self.certificate.clone(), self.key.clone_key())
            .expect("a certificate with its key")
    }

    /// Presents this identity, and counts how often it was asked to.
    #[must_use]
    pub fn resolver(&self) -> Arc<UncheckedIdentity> {
        present(self, self)
    }

    pub(crate) fn signing_key(&self) -> Arc<dyn SigningKey> {
        provider().key_provider.load_private_key(self.key.clone_key()).expect("a key that can sign")
    }
}

impl fmt::Debug for TestIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestIdentity({} bytes of certificate)", self.certificate.len())
    }
}

/// A kind of client certificate. All of them are accepted from whoever holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As the stock client makes it today: self-signed X.509 v3, P-256, `C=US, O=Canonical, CN=<uuid>`.
    P256,
    /// As the stock client made it before 2023: X.509 v1.
    P256V1,
    /// P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// P-256, expired a year ago.
    Expired,
    /// P-256, signed by some authority.
    CaSigned,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::P256, Self::P256V1, Self::P384, Self::Ed25519, Self::Rsa2048, Self::Expired, Self::CaSigned];

    /// A fresh identity of this kind.
    #[must_use]
    pub fn generate(self) -> TestIdentity {
        let key = match self {
            Self::P256 | Self::P256V1 | Self::Expired | Self::CaSigned => KeyPair::generate(),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
        .unwrap();
        let mut params = client_params(&key);
        if self == Self::Expired {
            params.not_before = (SystemTime::now() - 2 * YEAR).into();
            params.not_after = (SystemTime::now() - YEAR).into();
        }
        let certificate = match self {
            Self::CaSigned => {
                let ca_key = KeyPair::generate().unwrap();
                let issuer = Issuer::new(ca_params("Some authority"), ca_key);
                params.signed_by(&key, &issuer).unwrap().der().clone()
            }
            Self::P256V1 => as_v1(params.self_signed(&key).unwrap().der(), &key),
            _ => params.self_signed(&key).unwrap().der().clone(),
        };
        TestIdentity { certificate, key: key.into() }
    }
}

/// What a service shows: a root, and a server certificate under it as the stock service makes them.
pub struct TestServer {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    identity: TestIdentity,
}

/// A kind of server certificate. A client takes the first alone, or the first three where dates do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// For `localhost`, valid from now on.
    Usual,
    /// Expired a year ago.
    Expired,
    /// Valid from a year from now on.
    NotYetValid,
    /// For another name.
    OtherName,
    /// For clients: that it is under the same root makes it no server's.
    ClientPurpose,
}

impl TestServer {
    /// A service with a fresh root, "Multipass Root CA", and a certificate for `localhost` under it.
    #[must_use]
    pub fn generate() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = ca_params("Multipass Root CA");
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let identity = issue(&issuer, ServerKind::Usual);
        Self { root, issuer, identity }
    }

    /// A further server certificate under the same root, with a fresh key.
    #[must_use]
    pub fn issue(&self, kind: ServerKind) -> TestIdentity {
        issue(&self.issuer, kind)
    }

    /// The root, DER.
    #[must_use]
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// The root as in the file that clients pin.
    #[must_use]
    pub fn root_pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.root.to_vec()))
    }

    /// The root that clients pin.
    #[must_use]
    pub fn root(&self) -> RootCertificate {
        RootCertificate::from_pem(self.root_pem().as_bytes()).unwrap()
    }

    /// The root as if it were a server's own certificate, with its key.
    #[must_use]
    pub fn root_identity(&self) -> TestIdentity {
        let key = PrivateKeyDer::try_from(self.issuer.key().serialize_der()).unwrap();
        TestIdentity { certificate: self.root.clone(), key }
    }

    /// The server's certificate and key.
    #[must_use]
    pub fn identity(&self) -> &TestIdentity {
        &self.identity
    }

    /// The server's side. As the product's, it presents its root too.
    #[must_use]
    pub fn tls(&self) -> ServerTls {
        ServerTls::new(self.identity.identity().followed_by(&self.root())).unwrap()
    }

    /// A client of this service as the product makes it.
    #[must_use]
    pub fn client(&self, identity: Option<&TestIdentity>) -> ClientTls {
        ClientTls::new(self.root(), CertificateDates::Enforced, identity.map(TestIdentity::identity)).unwrap()
    }

    /// A client of this service that the product would not make: for [`ClientTls::unverified_from_config`],
    /// after the test has changed in it what it wants. It trusts this service's root, offers h2 and
    /// would resume sessions.
    #[must_use]
    pub fn client_config(
        &self,
        presents: Option<Arc<dyn ResolvesClientCert>>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client_config_with(provider(), presents, versions)
    }

    /// As [`TestServer::client_config`], with another crypto provider.
    #[must_use]
    pub fn client_config_with(
        &self,
        provider: Arc<CryptoProvider>,
        presents: Option<Arc<dyn ResolvesClientCert>>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match presents {
            Some(resolver) => builder.with_client_cert_resolver(resolver),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestServer")
    }
}

fn issue(issuer: &Issuer<'_, KeyPair>, kind: ServerKind) -> TestIdentity {
    let key = KeyPair::generate().unwrap();
    let name = if kind == ServerKind::OtherName { "example.org" } else { "localhost" };
    let purpose = match kind {
        ServerKind::ClientPurpose => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    };
    let mut params = params(name, 825 * 24);
    params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
    params.extended_key_usages = vec![purpose];
    let now = SystemTime::now();
    match kind {
        ServerKind::Expired => {
            (params.not_before, params.not_after) = ((now - 2 * YEAR).into(), (now - YEAR).into());
        }
        ServerKind::NotYetValid => {
            (params.not_before, params.not_after) = ((now + YEAR).into(), (now + 2 * YEAR).into());
        }
        _ => {}
    }
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    TestIdentity { certificate, key: key.into() }
}

/// The product's crypto provider.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    crate::tls::provider()
}

/// A thief: presents one's certificate and signs with another's key, as a client or as a server.
#[must_use]
pub fn stolen(certificate_of: &TestIdentity, key_of: &TestIdentity) -> Arc<UncheckedIdentity> {
    present(certificate_of, key_of)
}

fn present(certificate_of: &TestIdentity, key_of: &TestIdentity) -> Arc<UncheckedIdentity> {
    presents(&[certificate_of.certificate()], key_of)
}

/// Presents these certificates, whatever they are, and signs with that key.
#[must_use]
pub fn presents(chain: &[&[u8]], key_of: &TestIdentity) -> Arc<UncheckedIdentity> {
    let chain = chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    // `CertifiedKey::new` does not compare the two.
    let key = CertifiedKey::new(chain, key_of.signing_key());
    Arc::new(UncheckedIdentity { key: Arc::new(key), asked: AtomicUsize::new(0), named: AtomicUsize::new(0) })
}

/// Presents a certificate, unchecked, and notes what it was asked for.
#[derive(Debug)]
pub struct UncheckedIdentity {
    key: Arc<CertifiedKey>,
    asked: AtomicUsize,
    named: AtomicUsize,
}

impl UncheckedIdentity {
    /// How many handshakes asked for the certificate, and so for a signature. A resumed one does not.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many authorities the server named, over all handshakes.
    #[must_use]
    pub fn authorities_named(&self) -> usize {
        self.named.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for UncheckedIdentity {
    fn resolve(&self, authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.named.fetch_add(authorities.len(), Ordering::Relaxed);
        Some(Arc::clone(&self.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for UncheckedIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }
}

fn params(common_name: &str, hours: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = SystemTime::now().into();
    params.not_after = (SystemTime::now() + Duration::from_secs(60 * 60) * hours).into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, "Canonical");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name, 10 * 365 * 24);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn client_params(key: &KeyPair) -> CertificateParams {
    // Shaped like a UUID, and as unique as the key.
    let hex: Vec<String> = key.der_bytes().iter().rev().take(16).map(|byte| format!("{byte:02x}")).collect();
    let groups: Vec<String> =
        [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().map(|range| hex[range].concat()).collect();
    let mut params = params(&groups.join("-"), 365 * 24);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The same certificate as X.509 v1: without version and extensions, signed again (RFC 5280, 4.1).
fn as_v1(v3: &[u8], key: &KeyPair) -> CertificateDer<'static> {
    let parts = der::children(v3);
    let [tbs, algorithm, _signature] = parts.as_slice() else { panic!("a certificate has three parts") };
    let kept: Vec<&[u8]> = der::children(tbs)
        .into_iter()
        .filter(|part| ![der::VERSION, der::EXTENSIONS].contains(&part[0]))
        .collect();
    let tbs = der::element(der::SEQUENCE, &kept.concat());
    // No unused bits at the end of the bit string.
    let signature = [&[0], key.sign(&tbs).unwrap().as_slice()].concat();
    let signature = der::element(der::BIT_STRING, &signature);
    der::element(der::SEQUENCE, &[tbs.as_slice(), algorithm, &signature].concat()).into()
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
    use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

    use super::*;

    #[test]
    fn the_kinds_are_what_they_say() {
        for kind in Kind::ALL {
            let identity = kind.generate();
            let (rest, certificate) = X509Certificate::from_der(identity.certificate()).unwrap();
            assert!(rest.is_empty(), "{kind:?}");
            let version = if kind == Kind::P256V1 { X509Version::V1 } else { X509Version::V3 };
            assert_eq!(certificate.version(), version, "{kind:?}");
            assert_eq!(certificate.extensions().is_empty(), kind == Kind::P256V1, "{kind:?}");
            assert_eq!(certificate.validity().is_valid(), kind != Kind::Expired, "{kind:?}");
            let self_signed = certificate.issuer() == certificate.subject();
            assert_eq!(self_signed, kind != Kind::CaSigned, "{kind:?}");
            let subject = certificate.subject().to_string();
            assert!(subject.starts_with("C=US, O=Canonical, CN="), "{kind:?}: {subject}");
            // The conversion is the check: it compares the certificate with the key.
            let _ = identity.identity();
            Identity::from_pem(identity.certificate_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap();
        }
    }

    /// The signature of a v1 certificate is not looked at in a handshake, but by other tools.
    #[test]
    fn a_v1_certificate_is_signed_by_its_key() {
        let identity = Kind::P256V1.generate();
        let (_, parsed) = X509Certificate::from_der(identity.certificate()).unwrap();
        let key = SubjectPublicKeyInfoDer::from(parsed.tbs_certificate.subject_pki.raw);
        let key = webpki::RawPublicKeyEntity::try_from(&key).unwrap();
        let (message, signature) = (parsed.tbs_certificate.as_ref(), &parsed.signature_value.data);
        key.verify_signature(webpki::aws_lc_rs::ECDSA_P256_SHA256, message, signature).unwrap();
    }

    #[test]
    fn no_two_clients_are_alike() {
        let (one, other) = (TestIdentity::client(), TestIdentity::client());
        assert_ne!(one.certificate(), other.certificate());
        assert_ne!(one.key(), other.key());
    }
}
