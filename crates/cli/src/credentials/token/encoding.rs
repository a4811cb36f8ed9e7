//! Tokens as bytes and as text, in the form that the module above describes.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use transport::Endpoint;
use zeroize::Zeroizing;

use super::{LONGEST_ADDRESS, MOST_ADDRESSES, PREFIX, ROOT, SECRET, Token};

/// The checksum, in bytes.
const CHECKSUM: usize = 4;
/// The most bytes that a token is made of.
const LONGEST: usize = SECRET + ROOT + 1 + MOST_ADDRESSES * (1 + LONGEST_ADDRESS) + CHECKSUM;
/// The most characters that stand for them.
pub(super) const LONGEST_ENCODED: usize = (LONGEST * 4).div_ceil(3);

impl Token {
    /// Its text.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
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
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + LONGEST_ENCODED));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }
}

/// The token in what follows [`PREFIX`].
pub(super) fn decode(encoded: &str) -> Option<Token> {
    if encoded.len() > LONGEST_ENCODED {
        return None;
    }
    // Room for all of it: a buffer that grows leaves pieces of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    // Strict: no padding, and no bits that say nothing.
    BASE64_URL_SAFE_NO_PAD.decode_vec(encoded, &mut bytes).ok()?;
    read(&bytes)
}

/// What `bytes` say, if all of them say something.
fn read(bytes: &[u8]) -> Option<Token> {
    let (bytes, found) = bytes.split_last_chunk::<CHECKSUM>()?;
    if *found != checksum(bytes) {
        return None;
    }
    let (secret, rest) = bytes.split_first_chunk::<SECRET>()?;
    let (root, rest) = rest.split_first_chunk::<ROOT>()?;
    let (&count, mut rest) = rest.split_first()?;
    if usize::from(count) > MOST_ADDRESSES {
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

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::new().chain_update(PREFIX).chain_update(bytes).finalize().into();
    let [one, two, three, four, ..] = digest;
    [one, two, three, four]
}
