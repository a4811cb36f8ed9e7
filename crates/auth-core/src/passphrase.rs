//! The passphrase that lets a client in, and its hash.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// Memory in KiB, passes and lanes of Argon2id: the first choice of OWASP's Password Storage Cheat
/// Sheet (19 MiB, t=2, p=1); RFC 9106 describes the function.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// The longest passphrase taken, in bytes.
const MAX_BYTES: usize = 1024;

/// A passphrase as somebody gave it: not empty, kept out of logs, wiped from memory when dropped.
/// All of its bytes count, whatever letters they spell.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

/// Why a text is no passphrase.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseError {
    /// The empty text.
    #[error("the passphrase is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("the passphrase is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn new(text: SecretString) -> Result<Self, PassphraseError> {
        match text.expose_secret().len() {
            0 => Err(PassphraseError::Empty),
            1..=MAX_BYTES => Ok(Self(text)),
            _ => Err(PassphraseError::TooLong),
        }
    }
}

/// The hash of a passphrase, as a PHC string. Not shown by `Debug`: it can be guessed against.
#[derive(Clone, PartialEq, Eq)]
pub struct PassphraseHash(String);

/// Why a passphrase could not be hashed, or a hash not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HashError {
    /// Argon2 refused: out of memory or out of randomness.
    #[error("the passphrase could not be hashed: {0}")]
    Hashing(String),
    /// The stored text is no Argon2id hash.
    #[error("the stored text is not an Argon2id hash in PHC form")]
    NotArgon2id,
}

impl PassphraseHash {
    /// Hashes `passphrase` with a new random salt. *Blocking*: tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// Memory or randomness ran out.
    pub fn of(passphrase: &Passphrase) -> Result<Self, HashError> {
        let fails = |error: &dyn fmt::Display| HashError::Hashing(error.to_string());
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None).map_err(|e| fails(&e))?;
        let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password(passphrase.0.expose_secret().as_bytes())
            .map_err(|e| fails(&e))?;
        Ok(Self(hash.to_string()))
    }

    /// Takes a hash that was stored.
    ///
    /// # Errors
    /// The text is no Argon2id PHC string with salt and output.
    pub fn from_phc(text: &str) -> Result<Self, HashError> {
        match PasswordHash::new(text) {
            Ok(hash) if text.starts_with("$argon2id$") && hash.salt.is_some() && hash.hash.is_some() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(HashError::NotArgon2id),
        }
    }

    /// Whether `passphrase` is the one, compared in constant time. *Blocking*, as [`Self::of`].
    #[must_use]
    pub fn matches(&self, passphrase: &Passphrase) -> bool {
        PasswordHash::new(&self.0).is_ok_and(|hash| {
            // The parameters are those in the hash, so that older hashes stay valid.
            Argon2::default().verify_password(passphrase.0.expose_secret().as_bytes(), &hash).is_ok()
        })
    }

    /// The PHC string, to be stored where only the daemon reads it.
    pub(crate) fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PassphraseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassphraseHash([redacted])")
    }
}
