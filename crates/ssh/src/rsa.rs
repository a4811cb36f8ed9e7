//! RSA keys, which stock services open their guests with. They are signed with by aws-lc: russh's own way to do that
//! takes a time that tells of the key (RUSTSEC-2023-0071).

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Mpint;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::{HashAlg, PublicKey};

use crate::session::SessionError;

/// How signatures are called that are made with SHA-256 (RFC 8332).
const SIGNATURE: &str = "rsa-sha2-256";

/// A private key with its public one.
#[derive(Clone)]
pub(crate) struct RsaKey {
    pair: Arc<KeyPair>,
    pub(crate) public: PublicKey,
}

impl RsaKey {
    /// The hash that signatures are made with.
    pub(crate) const HASH: HashAlg = HashAlg::Sha256;

    /// From PEM, in either of the two usual forms, not encrypted.
    pub(crate) fn from_pem(text: &str) -> Option<Self> {
        let pem = pem::parse(text).ok()?;
        let pair = match pem.tag() {
            "RSA PRIVATE KEY" => KeyPair::from_der(pem.contents()).ok()?,
            "PRIVATE KEY" => KeyPair::from_pkcs8(pem.contents()).ok()?,
            _ => return None,
        };
        let modulus =
            Mpint::from_positive_bytes(pair.public_key().modulus().big_endian_without_leading_zero());
        let exponent =
            Mpint::from_positive_bytes(pair.public_key().exponent().big_endian_without_leading_zero());
        let public = RsaPublicKey::new(exponent, modulus).ok()?;
        Some(Self { pair: Arc::new(pair), public: PublicKey::from(KeyData::Rsa(public)) })
    }
}

impl Signer for RsaKey {
    type Error = SessionError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &to_sign, &mut signature)
            .map_err(|_| russh::Error::CouldNotReadKey)?;
        let mut blob = Vec::new();
        append(SIGNATURE.as_bytes(), &mut blob)?;
        append(&signature, &mut blob)?;
        // What is signed, followed by how.
        let mut signed = to_sign;
        append(&blob, &mut signed)?;
        Ok(signed)
    }
}

/// A string of SSH's (RFC 4251, 5).
fn append(string: &[u8], to: &mut Vec<u8>) -> Result<(), russh::Error> {
    let length = u32::try_from(string.len()).map_err(|_| russh::Error::Inconsistent)?;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(string);
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use pem::Pem;

    use super::*;

    /// What a private key in PKCS#8 begins with, before it as PKCS#1 has it (RFC 5958), with 2048 bits.
    const HEADER: usize = 26;

    #[tokio::test]
    async fn a_key_in_either_form_signs_as_ssh_wants_it() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.as_der().unwrap();
        for (tag, contents) in [("PRIVATE KEY", der.as_ref()), ("RSA PRIVATE KEY", &der.as_ref()[HEADER..])] {
            let text = pem::encode(&Pem::new(tag, contents));
            let mut key = RsaKey::from_pem(&text).unwrap_or_else(|| panic!("{tag}"));
            assert!(key.public.to_openssh().unwrap().starts_with("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"));
            let identity = AgentIdentity::PublicKey { key: key.public.clone(), comment: String::new() };
            let signed = key.auth_sign(&identity, Some(RsaKey::HASH), b"data".to_vec()).await.unwrap();
            let (head, signature) = signed.split_at(signed.len() - 256);
            assert_eq!(head, b"data\0\0\x01\x14\0\0\0\x0crsa-sha2-256\0\0\x01\0");
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
            public.verify(b"data", signature).unwrap();
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_none() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(RsaKey::from_pem(text).is_none(), "{text}");
        }
    }
}
