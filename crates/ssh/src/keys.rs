//! Keys: Ed25519, which every SSH server of the last ten years takes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey, PublicKey};
use thiserror::Error;

use crate::rsa::RsaKey;

/// A private key with its public one: a guest's, or the one that opens guests.
#[derive(Clone)]
pub struct KeyPair(Arc<PrivateKey>);

/// The private key that opens a guest, whoever has made it.
#[derive(Clone)]
pub struct ClientKey(pub(crate) Kind);

/// How it is signed with.
#[derive(Clone)]
pub(crate) enum Kind {
    Pair(KeyPair),
    Rsa(RsaKey),
}

/// The public key that a host proves itself by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey(PublicKey);

/// What cannot be a key, or cannot be written as one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Text that is no key.
    #[error("this is no SSH key")]
    NotAKey(#[source] russh::keys::ssh_key::Error),
}

impl KeyPair {
    /// From OpenSSH's format, not encrypted.
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(text).map_err(KeyError::NotAKey)?;
        Ok(Self(Arc::new(key)))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> HostKey {
        let mut key = self.0.public_key().clone();
        key.set_comment("");
        HostKey(key)
    }

    pub(crate) fn private(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.0)
    }
}

/// Keys of a test's guests and users. Those of instances are made with them, by a crate that knows no sessions.
#[cfg(feature = "testkit")]
impl KeyPair {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
        Ok(Self(Arc::new(PrivateKey::from(pair))))
    }

    /// The private key in OpenSSH's format, not encrypted.
    ///
    /// # Errors
    /// It cannot be written so.
    pub fn to_openssh(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        self.0.to_openssh(russh::keys::ssh_key::LineEnding::LF).map_err(KeyError::NotAKey)
    }
}

impl ClientKey {
    /// From a file's text: OpenSSH's format, or PEM with an RSA key, as stock services have it. Not encrypted.
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        match RsaKey::from_pem(text) {
            Some(key) => Ok(Self(Kind::Rsa(key))),
            None => KeyPair::from_openssh(text).map(Self::from),
        }
    }
}

impl From<KeyPair> for ClientKey {
    fn from(pair: KeyPair) -> Self {
        Self(Kind::Pair(pair))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = match &self.0 {
            Kind::Pair(pair) => pair.public(),
            Kind::Rsa(key) => HostKey(key.public.clone()),
        };
        f.debug_tuple("ClientKey").field(&public.to_string()).finish()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public().to_string()).finish()
    }
}

impl HostKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    /// Whether it is this key, whatever is said beside it.
    pub(crate) fn is(&self, key: &PublicKey) -> bool {
        self.0.key_data() == key.key_data()
    }
}

/// As a line of `authorized_keys`.
impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_openssh().map_err(|_| fmt::Error)?)
    }
}

impl FromStr for HostKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PublicKey::from_openssh(text).map(Self).map_err(KeyError::NotAKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read() {
        let pair = KeyPair::generate().unwrap();
        let text = pair.to_openssh().unwrap();
        assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert_eq!(KeyPair::from_openssh(&text).unwrap().public(), pair.public());

        let line = pair.public().to_string();
        assert!(line.starts_with("ssh-ed25519 ") && line.split(' ').count() == 2, "{line}");
        assert_eq!(line.parse::<HostKey>().unwrap(), pair.public());
        assert_ne!(KeyPair::generate().unwrap().public(), pair.public());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----\n"] {
            assert!(text.parse::<HostKey>().is_err(), "{text}");
            assert!(KeyPair::from_openssh(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let pair = KeyPair::generate().unwrap();
        let shown = format!("{pair:?}");
        assert!(shown.contains(&pair.public().to_string()) && shown.len() < 150, "{shown}");
    }
}
