//! The server's check of a client's certificate: any certificate, or none, but never one whose key
//! the client does not hold.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};
use webpki::RawPublicKeyEntity;

/// Verifies possession, not provenance. Who may use the service is decided by comparing the whole
/// certificate, so its issuer, dates, usages and even its version say nothing here.
#[derive(Debug)]
pub(super) struct PossessionVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl PossessionVerifier {
    pub(super) fn new(provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self { algorithms: provider.signature_verification_algorithms })
    }
}

/// The public key in a certificate of any X.509 version; webpki reads only version 3.
///
/// # Errors
/// The bytes are not exactly one certificate.
pub(super) fn public_key<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], certificate)) => {
            Ok(SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw))
        }
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

impl ClientCertVerifier for PossessionVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        public_key(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let Some((_, candidates)) =
            self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme)
        else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        // In TLS 1.2 a scheme such as ECDSA with SHA-256 does not fix the curve: several algorithms
        // may stand behind it, and the key picks the one that fits.
        for algorithm in *candidates {
            if key.verify_signature(*algorithm, message, signed.signature()).is_ok() {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::internal::msgs::codec::Codec;
    use tokio_rustls::rustls::sign::SigningKey;

    use super::*;
    use crate::testkit::certificates::{Kind, TestIdentity};
    use crate::tls::provider;

    const MESSAGE: &[u8] = b"what the handshake signs";

    fn verifier() -> Arc<PossessionVerifier> {
        PossessionVerifier::new(&provider())
    }

    /// A signature as a peer sends it.
    fn sent(scheme: SignatureScheme, signature: &[u8]) -> DigitallySignedStruct {
        let mut bytes = u16::from(scheme).to_be_bytes().to_vec();
        bytes.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
        bytes.extend(signature);
        DigitallySignedStruct::read_bytes(&bytes).unwrap()
    }

    fn sign(key: &dyn SigningKey, scheme: SignatureScheme) -> Vec<u8> {
        key.choose_scheme(&[scheme]).expect("a scheme of this key").sign(MESSAGE).unwrap()
    }

    /// Whether TLS 1.2 and TLS 1.3 accept it.
    fn accepted(
        certificate: &[u8],
        message: &[u8],
        scheme: SignatureScheme,
        signature: &[u8],
    ) -> (Result<(), Error>, Result<(), Error>) {
        let (verifier, certificate) = (verifier(), CertificateDer::from(certificate));
        let signed = sent(scheme, signature);
        (
            verifier.verify_tls12_signature(message, &certificate, &signed).map(drop),
            verifier.verify_tls13_signature(message, &certificate, &signed).map(drop),
        )
    }

    fn bad_signature() -> Error {
        CertificateError::BadSignature.into()
    }

    #[test]
    fn a_signature_by_the_certificate_s_key_is_accepted() {
        use SignatureScheme as Scheme;
        // TLS 1.3 does without PKCS #1 (RFC 8446, 4.2.3).
        let (pss, pkcs1) = (
            [Scheme::RSA_PSS_SHA256, Scheme::RSA_PSS_SHA384, Scheme::RSA_PSS_SHA512],
            [Scheme::RSA_PKCS1_SHA256, Scheme::RSA_PKCS1_SHA384, Scheme::RSA_PKCS1_SHA512],
        );
        for (kind, in_both, in_tls12) in [
            (Kind::P256, [Scheme::ECDSA_NISTP256_SHA256].as_slice(), [].as_slice()),
            (Kind::P256V1, &[Scheme::ECDSA_NISTP256_SHA256], &[]),
            (Kind::P384, &[Scheme::ECDSA_NISTP384_SHA384], &[]),
            (Kind::Ed25519, &[Scheme::ED25519], &[]),
            (Kind::Rsa2048, &pss, &pkcs1),
        ] {
            let (one, other) = (kind.generate(), kind.generate());
            let certificate = one.certificate();
            for &scheme in in_both.iter().chain(in_tls12) {
                let signature = sign(&*one.signing_key(), scheme);
                let (tls12, tls13) = accepted(certificate, MESSAGE, scheme, &signature);
                let in_tls13 = in_both.contains(&scheme);
                assert_eq!((tls12, tls13.is_ok()), (Ok(()), in_tls13), "{kind:?}, {scheme:?}");

                let refused = |what: &str, (tls12, tls13): (Result<(), Error>, Result<(), Error>)| {
                    assert_eq!(tls12, Err(bad_signature()), "{kind:?}, {scheme:?}: {what} in TLS 1.2");
                    assert!(tls13.is_err(), "{kind:?}, {scheme:?}: {what} in TLS 1.3");
                };
                refused("another message", accepted(certificate, b"another", scheme, &signature));
                refused("another key", accepted(other.certificate(), MESSAGE, scheme, &signature));
                let stolen = sign(&*other.signing_key(), scheme);
                refused("another's signature", accepted(certificate, MESSAGE, scheme, &stolen));
                refused("no signature", accepted(certificate, MESSAGE, scheme, b""));
                let mut damaged = signature.clone();
                *damaged.last_mut().unwrap() ^= 1;
                refused("a damaged signature", accepted(certificate, MESSAGE, scheme, &damaged));
            }
        }
    }

    #[test]
    fn a_scheme_that_does_not_fit_is_refused() {
        use SignatureScheme as Scheme;
        let (p256, rsa) = (Kind::P256.generate(), Kind::Rsa2048.generate());
        let by_p256 = sign(&*p256.signing_key(), Scheme::ECDSA_NISTP256_SHA256);
        let by_rsa = sign(&*rsa.signing_key(), Scheme::RSA_PSS_SHA256);
        for (identity, signature, claimed) in [
            (&p256, &by_p256, Scheme::ECDSA_NISTP384_SHA384),
            (&p256, &by_p256, Scheme::ECDSA_NISTP521_SHA512),
            (&p256, &by_p256, Scheme::ED25519),
            (&p256, &by_p256, Scheme::RSA_PSS_SHA256),
            (&rsa, &by_rsa, Scheme::RSA_PSS_SHA384),
            (&rsa, &by_rsa, Scheme::RSA_PKCS1_SHA256),
            (&rsa, &by_rsa, Scheme::ECDSA_NISTP256_SHA256),
        ] {
            let (tls12, tls13) = accepted(identity.certificate(), MESSAGE, claimed, signature);
            assert_eq!(tls12, Err(bad_signature()), "{claimed:?}");
            assert!(tls13.is_err(), "{claimed:?}");
        }
    }

    #[test]
    fn a_scheme_that_was_not_offered_is_refused() {
        let unadvertised = Error::from(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
        let identity = Kind::P256.generate();
        let signature = sign(&*identity.signing_key(), SignatureScheme::ECDSA_NISTP256_SHA256);
        for scheme in [
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::ED448,
            SignatureScheme::from(0xfefe),
        ] {
            assert!(!verifier().supported_verify_schemes().contains(&scheme), "{scheme:?}");
            let (tls12, tls13) = accepted(identity.certificate(), MESSAGE, scheme, &signature);
            assert_eq!((tls12, tls13), (Err(unadvertised.clone()), Err(unadvertised.clone())), "{scheme:?}");
        }
    }

    /// In TLS 1.2 the scheme names the digest and leaves the curve open; in TLS 1.3 it fixes both. No
    /// library here signs so; `openssl dgst -sha256 -sign` did.
    #[test]
    fn p384_with_sha256_is_tls12_only() {
        let certificate = include_bytes!("vectors/p384.der");
        let signature = include_bytes!("vectors/p384_sha256.sig");
        let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
        let (tls12, tls13) = accepted(certificate, MESSAGE, scheme, signature);
        assert_eq!(tls12, Ok(()));
        assert!(tls13.is_err());
        assert_eq!(accepted(certificate, b"another", scheme, signature).0, Err(bad_signature()));
    }

    /// Signatures that are right in themselves, by `openssl dgst -sha256 -sign`: 1024 bits are too few.
    #[test]
    fn rsa_with_1024_bits_is_refused() {
        let identity = TestIdentity::rsa_1024();
        for (scheme, signature) in [
            (SignatureScheme::RSA_PSS_SHA256, include_bytes!("vectors/rsa_1024_pss_sha256.sig")),
            (SignatureScheme::RSA_PKCS1_SHA256, include_bytes!("vectors/rsa_1024_pkcs1_sha256.sig")),
        ] {
            let (tls12, tls13) = accepted(identity.certificate(), MESSAGE, scheme, signature);
            assert_eq!(tls12, Err(bad_signature()));
            assert!(tls13.is_err());
        }
    }

    #[test]
    fn any_certificate_will_do_and_nothing_else() {
        let verify = |der: &[u8], intermediates: &[CertificateDer<'_>]| {
            // Dates are not looked at: the epoch is before any certificate's life.
            let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
            verifier().verify_client_cert(&CertificateDer::from(der), intermediates, now).map(drop)
        };
        let garbage = CertificateDer::from(b"garbage".as_slice());
        for kind in Kind::ALL {
            let identity = kind.generate();
            let certificate = identity.certificate();
            assert_eq!(verify(certificate, &[]), Ok(()), "{kind:?}");
            assert_eq!(
                verify(certificate, std::slice::from_ref(&garbage)),
                Ok(()),
                "{kind:?}: others are not looked at"
            );
        }

        let identity = Kind::P256.generate();
        let certificate = identity.certificate();
        let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
        let signature = sign(&*identity.signing_key(), scheme);
        let bad_encoding = Err(Error::from(CertificateError::BadEncoding));
        for (what, der) in [
            ("nothing", Vec::new()),
            ("garbage", b"garbage".to_vec()),
            ("a byte too many", [certificate, &[0]].concat()),
            ("two certificates", [certificate, certificate].concat()),
            ("a byte too few", certificate[..certificate.len() - 1].to_vec()),
            ("a key", identity.key().to_vec()),
        ] {
            assert_eq!(verify(&der, &[]), bad_encoding, "{what}");
            // The signature would be right, and the key can be found in some of them.
            let (tls12, tls13) = accepted(&der, MESSAGE, scheme, &signature);
            assert_eq!((tls12, tls13), (bad_encoding.clone(), bad_encoding.clone()), "{what}");
        }
    }

    #[test]
    fn a_certificate_is_asked_for_and_not_required() {
        assert!(verifier().offer_client_auth());
        assert!(!verifier().client_auth_mandatory());
        assert!(verifier().root_hint_subjects().is_empty());
        let all = provider().signature_verification_algorithms.supported_schemes();
        assert_eq!(verifier().supported_verify_schemes(), all);
    }
}
