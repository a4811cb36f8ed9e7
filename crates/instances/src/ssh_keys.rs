//! The keys of an instance's SSH server and of who may log in. Each instance has its own: what leaves with one
//! opens no other.

use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// A pair of Ed25519 keys.
#[derive(Debug)]
pub(crate) struct KeyPair {
    /// One line, as in `authorized_keys` and `known_hosts`.
    pub(crate) public: String,
    /// In OpenSSH's format.
    pub(crate) private: Private,
}

/// A private key, which is not shown.
pub(crate) struct Private(pub(crate) Zeroizing<String>);

/// Keys cannot be made: the system gives no random numbers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("cannot make SSH keys: {0}")]
pub struct KeyError(String);

impl KeyPair {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError(error.to_string()))?;
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let fails = |error: ssh_key::Error| KeyError(error.to_string());
        Ok(Self {
            public: key.public_key().to_openssh().map_err(fails)?,
            private: Private(key.to_openssh(LineEnding::LF).map_err(fails)?),
        })
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_another_and_fits_together() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        assert_ne!(one.public, other.public);
        let private = PrivateKey::from_openssh(one.private.0.as_bytes()).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), one.public);
        assert!(one.public.starts_with("ssh-ed25519 AAAA") && !one.public.contains('\n'));
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }
}
