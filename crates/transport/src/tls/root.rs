//! The root by which a client knows a server: its certificate, or the fingerprint of its key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self, RootCertStore};

use super::verifier;

/// What a client holds a server to.
#[derive(Clone, Debug)]
pub enum Pin {
    /// Servers under this root certificate.
    Certificate(RootCertificate),
    /// Servers that present a root with this fingerprint, and a certificate under it.
    Fingerprint(RootFingerprint),
}

impl From<RootCertificate> for Pin {
    fn from(root: RootCertificate) -> Self {
        Self::Certificate(root)
    }
}

impl From<RootFingerprint> for Pin {
    fn from(root: RootFingerprint) -> Self {
        Self::Fingerprint(root)
    }
}

/// A root certificate.
#[derive(Clone, Debug)]
pub struct RootCertificate {
    certificate: CertificateDer<'static>,
    fingerprint: RootFingerprint,
    /// The certificate alone, as verification takes it.
    store: Arc<RootCertStore>,
}

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
        Self::from_der(certificate).map_err(RootCertificateError::Certificate)
    }

    /// # Errors
    /// It cannot serve as a root.
    pub(super) fn from_der(certificate: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let fingerprint = RootFingerprint(Sha256::digest(verifier::public_key(&certificate)?).into());
        let mut store = RootCertStore::empty();
        store.add(certificate.clone())?;
        Ok(Self { certificate, fingerprint, store: Arc::new(store) })
    }

    /// The fingerprint by which clients may know it.
    #[must_use]
    pub fn fingerprint(&self) -> RootFingerprint {
        self.fingerprint
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(super) fn store(&self) -> &RootCertStore {
        &self.store
    }
}

/// SHA-256 of a root certificate's public key (the DER of its `SubjectPublicKeyInfo`, as in RFC 7469). It stays
/// when the certificate is made again for the same key. Shown in lower-case hexadecimal, as `sha256sum` does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RootFingerprint([u8; 32]);

impl RootFingerprint {
    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for RootFingerprint {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no fingerprint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a fingerprint is 64 hexadecimal digits: SHA-256 of the root certificate's public key")]
pub struct NotARootFingerprint;

/// Takes it as it is displayed, and as other programs write such: in capitals, with a colon between every two
/// digits, with `sha256:` in front.
impl FromStr for RootFingerprint {
    type Err = NotARootFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = match text.split_at_checked("sha256:".len()) {
            Some((prefix, digits)) if prefix.eq_ignore_ascii_case("sha256:") => digits,
            _ => text,
        };
        let separator = if digits.contains(':') { ":" } else { "" };
        let pair = 2 + separator.len();
        let mut bytes = [0; 32];
        if digits.len() != bytes.len() * pair - separator.len() {
            return Err(NotARootFingerprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(pair)) {
            let (digits, rest) = pair.split_at_checked(2).ok_or(NotARootFingerprint)?;
            // `from_str_radix` would take a leading '+'.
            if !digits.iter().all(u8::is_ascii_hexdigit) || !separator.as_bytes().starts_with(rest) {
                return Err(NotARootFingerprint);
            }
            let digits = str::from_utf8(digits).map_err(|_| NotARootFingerprint)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotARootFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::certificates::TestServer;

    const LOWER: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn with_colons(digits: &str) -> String {
        let pairs: Vec<&str> =
            digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
        pairs.join(":")
    }

    #[test]
    fn a_fingerprint_is_read_as_programs_write_it() {
        let upper = LOWER.to_ascii_uppercase();
        for text in [
            LOWER.to_owned(),
            upper.clone(),
            with_colons(LOWER),
            with_colons(&upper),
            format!("sha256:{LOWER}"),
            format!("SHA256:{upper}"),
            format!("SHA256:{}", with_colons(&upper)),
        ] {
            let read: RootFingerprint = text.parse().expect(&text);
            assert_eq!(read.to_string(), LOWER, "{text}");
            assert_eq!(format!("{read:?}"), LOWER, "{text}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_not_guessed_at() {
        let colons = with_colons(LOWER);
        for text in [
            String::new(),
            "sha256:".to_owned(),
            LOWER[1..].to_owned(),
            format!("{LOWER}0"),
            format!(" {LOWER}"),
            format!("{LOWER}\n"),
            format!("sha1:{LOWER}"),
            format!("sha256:sha256:{LOWER}"),
            format!("{}g", &LOWER[1..]),
            format!("+{}", &LOWER[1..]),
            format!("\u{e9}{}", &LOWER[2..]),
            format!("{colons}:"),
            format!(":{colons}"),
            colons.replacen(':', "-", 1),
            colons.replacen(':', "", 1),
            colons.replacen("78:", "7:8", 1),
            colons.replace(':', "::"),
            // OpenSSH's way, in base64.
            "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0".to_owned(),
        ] {
            assert_eq!(text.parse::<RootFingerprint>(), Err(NotARootFingerprint), "{text:?}");
        }
    }

    /// The key's DER is put together again: from an algorithm and a point, as any P-256 key's.
    #[test]
    fn it_is_of_the_key_alone() {
        let server = TestServer::generate();
        let (_, parsed) = x509_parser::parse_x509_certificate(server.root_der()).unwrap();
        let key = parsed.public_key();
        let algorithm =
            b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        let head = [b"\x30\x59", algorithm.as_slice(), b"\x03\x42\x00"].concat();
        let spki = [head, key.subject_public_key.data.to_vec()].concat();
        let expected = Sha256::digest(spki).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(server.root().fingerprint().to_string(), expected);
        assert_ne!(TestServer::generate().root().fingerprint(), server.root().fingerprint());
    }
}
