//! Tokens: each has one client trusted, once, and not for long. What they are, how they are written, and by what
//! clocks they end; the store keeps them, and who may make and redeem them the authority says.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Actor, ClientName, Level, hex};

/// A secret's length in bytes: 128 bits cannot be guessed, however often somebody may try.
const SECRET: usize = 16;
/// An id's length in bytes. It tells a thousand tokens apart, and takes 64 bits from what is to be guessed of none:
/// it is taken from the hash.
const ID: usize = 8;
/// The longest life of a token.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The last second that RFC 3339 has a name for, since 1970.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// What a token's holder knows: kept out of logs, wiped from memory when dropped.
pub struct TokenSecret(Zeroizing<[u8; SECRET]>);

impl TokenSecret {
    /// A new one, from the system's generator.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; SECRET]);
        getrandom::fill(bytes.as_mut()).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Takes it as [`Self::to_hex`] writes it, and in no other form: none if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SECRET]);
        from_hex(text, bytes.as_mut())?;
        Some(Self(bytes))
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        // As long as it will be: what it outgrew would not be wiped.
        let mut text = Zeroizing::new(String::with_capacity(2 * SECRET));
        hex::push(self.0.as_ref(), &mut text);
        text
    }

    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_ref()).into())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret([redacted])")
    }
}

/// SHA-256 of a token's secret. A slow hash, as a passphrase needs one, would protect nothing here: nobody can try
/// 2^128 secrets, however quick each try is. Nor does it tell anything how long it takes to find one by its hash:
/// nobody can choose what his own is like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// What the token is called.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        TokenId([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.id(), f)
    }
}

/// Takes it as it is displayed.
impl FromStr for TokenHash {
    type Err = NotATokenId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        from_hex(text, &mut bytes).ok_or(NotATokenId)?;
        Ok(Self(bytes))
    }
}

/// By what a token is listed, revoked and recorded: the beginning of its hash. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId([u8; ID]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no token's id.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a token's id is 16 hexadecimal digits")]
pub struct NotATokenId;

/// Takes it as it is displayed.
impl FromStr for TokenId {
    type Err = NotATokenId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; ID];
        from_hex(text, &mut bytes).ok_or(NotATokenId)?;
        Ok(Self(bytes))
    }
}

/// Reads exactly so many bytes, written in lower case.
fn from_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    hex::read(text, bytes)
}

/// How long a token may be redeemed: a second to 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLife(Duration);

/// A time that no token lives.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a token lives for 1 second to 30 days")]
pub struct NotATokenLife;

impl TokenLife {
    /// A life of so many seconds.
    ///
    /// # Errors
    /// No token lives so long, or not at all.
    pub fn of_seconds(seconds: u64) -> Result<Self, NotATokenLife> {
        let fits = (1..=LONGEST_LIFE.as_secs()).contains(&seconds);
        if fits { Ok(Self(Duration::from_secs(seconds))) } else { Err(NotATokenLife) }
    }

    /// How long it is.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// A token that was not redeemed yet. Nothing here is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called.
    pub id: TokenId,
    /// A name for the client that it will enrol.
    pub name: Option<ClientName>,
    /// How much that client may do.
    pub level: Level,
    /// When it was made, by the clock of then.
    pub created: SystemTime,
    /// When it ends, by the same clock.
    pub expires: SystemTime,
    /// Who made it. When that client is not of the full level any more, its tokens end.
    pub by: Actor,
}

impl Token {
    /// Whether it could have been made as it says.
    pub(crate) fn is_sound(&self) -> bool {
        self.expires.duration_since(self.created).is_ok_and(|life| life <= LONGEST_LIFE)
    }
}

/// Why a token cannot be redeemed. Who presents it is not told, but the record is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It never was one, or ended longer ago than is remembered.
    #[error("there is no such token")]
    Unknown,
    /// It was redeemed before. Somebody else may have got hold of it.
    #[error("the token was redeemed before")]
    Spent,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its time was over.
    #[error("the token has expired")]
    Expired,
    /// The client who made it is no longer trusted, or may only read.
    #[error("the client who made the token is no longer trusted, and so the token is void")]
    Orphaned,
}

impl InvalidToken {
    /// Its name in records, in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "token_unknown",
            Self::Spent => "token_spent",
            Self::Revoked => "token_revoked",
            Self::Expired => "token_expired",
            Self::Orphaned => "token_orphaned",
        }
    }
}

/// A moment, by both clocks. By the first one a token's end is told and survives a restart; but somebody may set it
/// back. The second one only goes on, while the daemon runs.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What the machine says that the time is.
    pub clock: SystemTime,
    /// A clock that nobody sets. It may stand still while the machine sleeps.
    pub running: Instant,
}

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        Self::at(SystemTime::now())
    }

    /// This one, of which it was said before what the time is.
    pub(crate) fn at(clock: SystemTime) -> Self {
        Self { clock, running: Instant::now() }
    }

    /// This one, if nothing can be said of what the time is.
    pub(crate) fn of_no_clock() -> Self {
        Self::at(UNIX_EPOCH)
    }
}

/// A time that can be written.
pub(crate) fn within_range(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_as_it_is_written_and_in_no_other_form() {
        let secret = TokenSecret::generate().unwrap();
        let text = secret.to_hex();
        assert_eq!(text.len(), 32);
        assert_eq!(TokenSecret::parse(&text).unwrap().hash(), secret.hash());
        assert_eq!(TokenSecret::parse("00ff10a9b7c3d2e1000102030405060f").unwrap().to_hex().as_str(), {
            "00ff10a9b7c3d2e1000102030405060f"
        });
        let short = text.get(1..).unwrap();
        for other in
            ["", short, &format!("0{}", *text), &format!("{short} "), &format!("A{short}"), &"é".repeat(16)]
        {
            assert!(TokenSecret::parse(other).is_none(), "{other:?}");
        }
        assert_ne!(TokenSecret::generate().unwrap().hash(), secret.hash());
        assert_eq!(format!("{secret:?}"), "TokenSecret([redacted])");
    }

    /// From `printf '\0%.0s' {1..16} | sha256sum`.
    #[test]
    fn the_hash_is_sha_256_of_the_bytes_and_the_id_its_beginning() {
        let hash = TokenSecret::parse(&"0".repeat(32)).unwrap().hash();
        assert_eq!(hash.to_string(), "374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb");
        assert_eq!(hash.id().to_string(), "374708fff7719dd5");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("374708fff7719dd5".parse(), Ok(hash.id()));
        for text in ["", "374708fff7719dd", "374708FFF7719DD5", "374708fff7719dd5 ", "+74708fff7719dd5"] {
            assert_eq!(text.parse::<TokenId>(), Err(NotATokenId), "{text:?}");
        }
    }

    #[test]
    fn a_token_lives_for_a_second_to_thirty_days() {
        for seconds in [1, 60, 30 * 24 * 60 * 60] {
            assert_eq!(TokenLife::of_seconds(seconds).unwrap().duration(), Duration::from_secs(seconds));
        }
        for seconds in [0, 30 * 24 * 60 * 60 + 1, u64::MAX] {
            assert_eq!(TokenLife::of_seconds(seconds), Err(NotATokenLife), "{seconds}");
        }
    }
}
