//! Tokens as text: what lets one client in, once, and by what it knows the service that made it.
//!
//! The text is `mpt1_` and, in the alphabet of URLs without padding (RFC 4648, section 5), these bytes:
//!
//! ```text
//! secret (16)  fingerprint of the service's root (32)  count (1)  count × [length (1)  address]  checksum (4)
//! ```
//!
//! The checksum is the beginning of SHA-256 of all that is before it, `mpt1_` included. It tells a slip of whoever
//! copies, so that nothing is sent for it; it protects against nobody. Each token has one text, and nothing else is read
//! as one. What a token is worth, the service decides.

mod encoding;

use std::fmt;

use thiserror::Error;
use transport::Endpoint;
use transport::tls::RootFingerprint;
use zeroize::Zeroizing;

use super::hex;
use encoding::decode;

/// What every token begins with that this client knows.
pub(crate) const PREFIX: &str = "mpt1_";
/// The secret, in bytes.
const SECRET_LENGTH: usize = 16;
/// The fingerprint, in bytes.
const ROOT_LENGTH: usize = 32;
/// The most addresses in a token.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// The longest address in a token, in bytes.
pub(crate) const MAX_ADDRESS_LENGTH: usize = u8::MAX as usize;

/// A token.
#[derive(PartialEq, Eq)]
pub(crate) struct Token {
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
    root: RootFingerprint,
    addresses: Vec<Endpoint>,
}

/// Why a text that is meant as a token is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum InvalidToken {
    /// Its beginning says that it is read in another way.
    #[error(
        "this token is not of a form that this client knows: it has been changed, or needs a newer client"
    )]
    Form,
    /// It is not as it was made.
    #[error("this token has been changed or cut off")]
    Changed,
}

/// Why no token can be made of something.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum InvalidTokenPart {
    /// The secret is not what a service makes.
    #[error("the secret is not {} hexadecimal digits", 2 * SECRET_LENGTH)]
    Secret,
    /// Too many addresses.
    #[error("a token has at most {MAX_ADDRESSES} addresses")]
    TooMany,
    /// An address that is too long.
    #[error("an address in a token has at most {MAX_ADDRESS_LENGTH} bytes, and '{0}' has more")]
    TooLong(Endpoint),
}

impl Token {
    /// A token with the secret that a service has made, in hexadecimal.
    ///
    /// # Errors
    /// It is no such secret, or the addresses do not fit into a token.
    pub(crate) fn new(
        digits: &str,
        root: RootFingerprint,
        addresses: Vec<Endpoint>,
    ) -> Result<Self, InvalidTokenPart> {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        hex::decode_into(secret.as_mut_slice(), digits).ok_or(InvalidTokenPart::Secret)?;
        if addresses.len() > MAX_ADDRESSES {
            return Err(InvalidTokenPart::TooMany);
        }
        match addresses.iter().find(|address| address.to_string().len() > MAX_ADDRESS_LENGTH) {
            Some(long) => Err(InvalidTokenPart::TooLong(long.clone())),
            None => Ok(Self { secret, root, addresses }),
        }
    }

    /// Reads a token. Blanks around it are none of it.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        match text.strip_prefix(PREFIX) {
            Some(encoded) => decode(encoded).ok_or(InvalidToken::Changed),
            None => Err(InvalidToken::Form),
        }
    }

    /// The secret in hexadecimal, for the request, which wipes its copy.
    pub(crate) fn secret(&self) -> String {
        hex::encode(self.secret.as_slice())
    }

    /// The fingerprint of the root of the service that made it.
    pub(crate) fn root(&self) -> RootFingerprint {
        self.root
    }

    /// Where that service may be, the best first.
    pub(crate) fn addresses(&self) -> &[Endpoint] {
        &self.addresses
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// Whether a text is meant as a token, so that nobody else is to get it: it begins as one of any form does; or all of one
/// is there but for its beginning, which was changed or cut off.
pub(crate) fn is_token_like(text: &str) -> bool {
    let text = text.trim();
    let may_begin = text.char_indices().take(PREFIX.len() + 1).filter_map(|(at, _)| text.get(at..));
    rpc::trust::begins_like_token(text) || may_begin.into_iter().any(|encoded| decode(encoded).is_some())
}

#[cfg(test)]
mod tests;
