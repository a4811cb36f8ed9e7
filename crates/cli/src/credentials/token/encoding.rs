//! Tokens as bytes and as text, in the form that the module above describes.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use transport::Endpoint;
use zeroize::Zeroizing;

use super::{MAX_ADDRESS_LENGTH, MAX_ADDRESSES, PREFIX, ROOT_LENGTH, SECRET_LENGTH, Token};

/// The checksum, in bytes.
const CHECKSUM_LENGTH: usize = 4;
/// The most bytes that a token is made of.
const MAX_LENGTH: usize =
    SECRET_LENGTH + ROOT_LENGTH + 1 + MAX_ADDRESSES * (1 + MAX_ADDRESS_LENGTH) + CHECKSUM_LENGTH;
/// The most characters that stand for them.
pub(super) const MAX_ENCODED_LENGTH: usize = (MAX_LENGTH * 4).div_ceil(3);

impl Token {
    /// Its text.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LENGTH));
        bytes.extend_from_slice(self.secret.as_slice());
        bytes.extend_from_slice(self.root.as_bytes());
        // Both fit: it was seen to when the token was made.
        bytes.push(u8::try_from(self.addresses.len()).unwrap_or(u8::MAX));
        for address in &self.addresses {
            let address = address.to_string();
            bytes.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(address.as_bytes());
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + MAX_ENCODED_LENGTH));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }
}

/// The token in what follows [`PREFIX`].
pub(super) fn decode(encoded: &str) -> Option<Token> {
    if encoded.len() > MAX_ENCODED_LENGTH {
        return None;
    }
    // Room for all of it: a buffer that grows leaves pieces of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    // Strict: no padding, and no bits that say nothing.
    BASE64_URL_SAFE_NO_PAD.decode_vec(encoded, &mut bytes).ok()?;
    from_bytes(&bytes)
}

/// What `bytes` say, if all of them say something.
fn from_bytes(bytes: &[u8]) -> Option<Token> {
    let (bytes, found) = bytes.split_last_chunk::<CHECKSUM_LENGTH>()?;
    if *found != checksum(bytes) {
        return None;
    }
    let (secret, rest) = bytes.split_first_chunk::<SECRET_LENGTH>()?;
    let (root, rest) = rest.split_first_chunk::<ROOT_LENGTH>()?;
    let (&count, mut rest) = rest.split_first()?;
    if usize::from(count) > MAX_ADDRESSES {
        return None;
    }
    let mut addresses = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (&length, after) = rest.split_first()?;
        let (address, after) = after.split_at_checked(length.into())?;
        addresses.push(endpoint(address)?);
        rest = after;
    }
    rest.is_empty().then(|| Token { secret: Zeroizing::new(*secret), root: (*root).into(), addresses })
}

/// An address in the one way in which tokens have it.
fn endpoint(address: &[u8]) -> Option<Endpoint> {
    let text = str::from_utf8(address).ok()?;
    let endpoint: Endpoint = text.parse().ok()?;
    (endpoint.to_string() == text).then_some(endpoint)
}

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let digest: [u8; 32] = Sha256::new().chain_update(PREFIX).chain_update(bytes).finalize().into();
    let [one, two, three, four, ..] = digest;
    [one, two, three, four]
}
