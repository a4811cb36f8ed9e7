//! The passphrase that lets a client in, and its hash: ours, or the one that a stock service has left.

mod stock;

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use self::stock::StockHash;

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
    /// More than 1024 bytes.
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

/// The hash of a passphrase. Not shown by `Debug`: it can be guessed against.
#[derive(Clone, PartialEq, Eq)]
pub struct PassphraseHash(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// A PHC string.
    Argon2id(String),
    /// Until the passphrase is first given, or set.
    Stock(StockHash),
}

/// Why a passphrase could not be hashed, or a hash not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HashError {
    /// There is too little memory.
    #[error("the passphrase could not be hashed: {0}")]
    Hashing(String),
    /// The stored text is no Argon2id hash.
    #[error("the stored text is not an Argon2id hash in PHC form")]
    NotArgon2id,
    /// The text is not what a stock service stores.
    #[error("the text is not a stock service's hash, which has 128 hexadecimal digits")]
    NotStock,
}

impl PassphraseHash {
    /// Hashes `passphrase` with a new random salt. *Blocking*: tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// There is too little memory.
    pub fn of(passphrase: &Passphrase) -> Result<Self, HashError> {
        let fails = |error: &dyn fmt::Display| HashError::Hashing(error.to_string());
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None).map_err(|e| fails(&e))?;
        let salt = Salt::generate();
        let output = argon2id(passphrase, &salt, Version::V0x13, params.clone(), Params::DEFAULT_OUTPUT_LEN)?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|e| fails(&e))?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(Self(Kind::Argon2id(hash.to_string())))
    }

    /// Takes a hash that was stored.
    ///
    /// # Errors
    /// The text is no Argon2id PHC string with salt and output.
    pub fn from_phc(text: &str) -> Result<Self, HashError> {
        match PasswordHash::new(text) {
            Ok(hash) if text.starts_with("$argon2id$") && hash.salt.is_some() && hash.hash.is_some() => {
                Ok(Self(Kind::Argon2id(text.to_owned())))
            }
            _ => Err(HashError::NotArgon2id),
        }
    }

    /// Takes the hash that a stock service has stored: 128 hexadecimal digits.
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_stock(digits: &str) -> Result<Self, HashError> {
        StockHash::from_digits(digits).map(|hash| Self(Kind::Stock(hash))).ok_or(HashError::NotStock)
    }

    /// Takes a hash of either kind, as [`Self::as_stored`] writes it.
    ///
    /// # Errors
    /// The text is neither.
    pub(crate) fn from_stored(text: &str) -> Result<Self, HashError> {
        match text.strip_prefix(stock::MARK) {
            Some(digits) => Self::from_stock(digits),
            None => Self::from_phc(text),
        }
    }

    /// Whether it is one that a stock service has left, without salt.
    #[must_use]
    pub fn is_stocks(&self) -> bool {
        matches!(self.0, Kind::Stock(_))
    }

    /// Whether a hash of our own, of a passphrase that [matches](Self::matches), should take its place.
    pub(crate) fn is_superseded_by(&self, passphrase: &Passphrase) -> bool {
        self.is_stocks() && stock::takes_whole(passphrase)
    }

    /// Whether `passphrase` is the one, compared in constant time. *Blocking*, as [`Self::of`].
    #[must_use]
    pub fn matches(&self, passphrase: &Passphrase) -> bool {
        let phc = match &self.0 {
            Kind::Argon2id(phc) => phc,
            Kind::Stock(hash) => return hash.matches(passphrase),
        };
        // The parameters are those in the hash, so that older hashes stay valid.
        let Ok(hash) = PasswordHash::new(phc) else { return false };
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return false };
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
        let (Ok(params), Ok(version)) = (Params::try_from(&hash), version) else { return false };
        // `Output` compares in constant time.
        argon2id(passphrase, salt, version, params, expected.len()).is_ok_and(|output| output == *expected)
    }

    /// The text of it, to be stored where only the daemon reads it: a PHC string, or a stock service's digits
    /// with a mark before them.
    pub(crate) fn as_stored(&self) -> Zeroizing<String> {
        match &self.0 {
            Kind::Argon2id(phc) => Zeroizing::new(phc.clone()),
            Kind::Stock(hash) => hash.as_stored(),
        }
    }
}

/// Allocations beyond this many bytes come from the system and go back to it when they are freed; glibc
/// keeps smaller ones (32 MiB is its `DEFAULT_MMAP_THRESHOLD_MAX`, mallopt(3)), for each thread.
const RETURNED_TO_SYSTEM: usize = 33 * 1024 * 1024;

/// One evaluation of Argon2id. Its memory is that of a moment: only what it uses of the allocation is ever
/// touched, and all of it is returned.
///
/// That new memory costs a third on top of the hash. Memory that is kept for the next one would be of use to who
/// guesses in a row, and of none to who is let in by one call a month; and it holds what the passphrase became.
fn argon2id(
    passphrase: &Passphrase,
    salt: &[u8],
    version: Version,
    params: Params,
    length: usize,
) -> Result<Output, HashError> {
    let fails = |error: &dyn fmt::Display| HashError::Hashing(error.to_string());
    let blocks = params.block_count();
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(blocks.max(RETURNED_TO_SYSTEM / Block::SIZE)).map_err(|e| fails(&e))?;
    memory.resize(blocks, Block::default());
    let mut output = Zeroizing::new(vec![0; length]);
    Argon2::new(Algorithm::Argon2id, version, params)
        .hash_password_into_with_memory(
            passphrase.0.expose_secret().as_bytes(),
            salt,
            &mut output,
            memory.as_mut_slice(),
        )
        .map_err(|e| fails(&e))?;
    Output::new(&output).map_err(|e| fails(&e))
}

impl fmt::Debug for PassphraseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassphraseHash([redacted])")
    }
}
