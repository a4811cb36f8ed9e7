//! A client's certificate, as an identity: equality is all that counts.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;

use crate::hex;

/// The label of a certificate's PEM block (RFC 7468, section 5).
pub(crate) const PEM_LABEL: &str = "CERTIFICATE";

/// The longest certificate taken, in bytes of DER. Clients' own have 400; RSA-4096 with a long name, 2,000.
const MAX_DER: usize = 16 * 1024;

/// SHA-256 of a certificate's DER encoding; shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Hash for Fingerprint {
    /// A part of it suffices: it is a hash already. Who makes two that share the part (some 2^32 certificates)
    /// and has both trusted makes one look-up a comparison longer.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no fingerprint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a fingerprint is 64 hexadecimal digits")]
pub struct NotAFingerprint;

/// Takes it as it is displayed.
impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::read(text, &mut bytes).ok_or(NotAFingerprint)?;
        Ok(Self(bytes))
    }
}

/// A client's X.509 certificate of any version. Its issuer, dates and usages are not looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
}

/// Why bytes are no certificate.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not the DER of an X.509 certificate.
    #[error("not an X.509 certificate")]
    NotX509,
    /// More than 16 KiB.
    #[error("the certificate is longer than {MAX_DER} bytes")]
    TooLong,
    /// More than one certificate.
    #[error("there is more than one certificate")]
    Several,
    /// A certificate, and then more.
    #[error("bytes follow the certificate")]
    TrailingBytes,
}

impl ClientCertificate {
    /// Takes exactly one certificate in DER.
    ///
    /// # Errors
    /// The bytes are anything else.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        if der.len() > MAX_DER {
            return Err(CertificateError::TooLong);
        }
        // The extensions' own contents decide nothing, whether they are looked at or not.
        match X509CertificateParser::new().with_deep_parse_extensions(false).parse(&der) {
            Ok(([], _)) => {}
            Ok(_) => return Err(CertificateError::TrailingBytes),
            Err(_) => return Err(CertificateError::NotX509),
        }
        let fingerprint = Fingerprint(Sha256::digest(&der).into());
        Ok(Self { der, fingerprint })
    }

    /// Takes a text that holds exactly one certificate in PEM; whatever else it holds is passed over.
    ///
    /// # Errors
    /// There is none, or more than one, or it is none that [`Self::from_der`] takes.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::NotX509)?;
        let mut certificates = blocks.into_iter().filter(|block| block.tag() == PEM_LABEL);
        match (certificates.next(), certificates.next()) {
            (Some(block), None) => Self::from_der(block.into_contents()),
            (Some(_), Some(_)) => Err(CertificateError::Several),
            (None, _) => Err(CertificateError::NotX509),
        }
    }

    /// What identifies it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The PEM block, ending in a newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new(PEM_LABEL, self.der.as_slice()), config)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.fingerprint).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_a_largest_size() {
        for (length, expected) in
            [(16 * 1024, CertificateError::NotX509), (16 * 1024 + 1, CertificateError::TooLong)]
        {
            assert_eq!(ClientCertificate::from_der(vec![0; length]), Err(expected), "{length}");
        }
    }
}
