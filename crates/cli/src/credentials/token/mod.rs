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

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use thiserror::Error;
use transport::Endpoint;
use transport::tls::RootFingerprint;
use zeroize::Zeroizing;

/// What every token begins with that this client knows.
pub(crate) const PREFIX: &str = "mpt1_";
/// The secret, in bytes.
const SECRET: usize = 16;
/// The fingerprint, in bytes.
const ROOT: usize = 32;
/// The checksum, in bytes.
const CHECKSUM: usize = 4;
/// The most addresses in a token.
pub(crate) const MOST_ADDRESSES: usize = 8;
/// The longest address in a token, in bytes.
pub(crate) const LONGEST_ADDRESS: usize = u8::MAX as usize;
/// The most bytes that a token is made of.
const LONGEST: usize = SECRET + ROOT + 1 + MOST_ADDRESSES * (1 + LONGEST_ADDRESS) + CHECKSUM;
/// The most characters that stand for them.
const LONGEST_ENCODED: usize = (LONGEST * 4).div_ceil(3);

/// A token.
#[derive(PartialEq, Eq)]
pub(crate) struct Token {
    secret: Zeroizing<[u8; SECRET]>,
    root: RootFingerprint,
    addresses: Vec<Endpoint>,
}

/// Why a text that is meant as a token is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum NoToken {
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
pub(crate) enum Unfit {
    /// The secret is not what a service makes.
    #[error("the secret is not {} hexadecimal digits", 2 * SECRET)]
    Secret,
    /// Too many addresses.
    #[error("a token has at most {MOST_ADDRESSES} addresses")]
    TooMany,
    /// An address that is too long.
    #[error("an address in a token has at most {LONGEST_ADDRESS} bytes, and '{0}' has more")]
    TooLong(Endpoint),
}

impl Token {
    /// A token with the secret that a service has made, in hexadecimal.
    ///
    /// # Errors
    /// It is no such secret, or the addresses do not fit into a token.
    pub(crate) fn new(digits: &str, root: RootFingerprint, addresses: Vec<Endpoint>) -> Result<Self, Unfit> {
        let mut secret = Zeroizing::new([0; SECRET]);
        // `from_str_radix` would take a sign.
        if digits.len() != 2 * SECRET || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Unfit::Secret);
        }
        for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = str::from_utf8(pair).map_err(|_| Unfit::Secret)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Unfit::Secret)?;
        }
        if addresses.len() > MOST_ADDRESSES {
            return Err(Unfit::TooMany);
        }
        match addresses.iter().find(|address| address.to_string().len() > LONGEST_ADDRESS) {
            Some(long) => Err(Unfit::TooLong(long.clone())),
            None => Ok(Self { secret, root, addresses }),
        }
    }

    /// Reads a token. Blanks around it are none of it.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, NoToken> {
        let text = text.trim();
        match text.strip_prefix(PREFIX) {
            Some(encoded) => decode(encoded).ok_or(NoToken::Changed),
            None => Err(NoToken::Form),
        }
    }

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

    /// The secret in hexadecimal, for the request, which wipes its copy.
    pub(crate) fn secret(&self) -> String {
        let mut digits = String::with_capacity(2 * SECRET);
        for byte in self.secret.iter() {
            for half in [byte >> 4, byte & 0xf] {
                digits.extend(char::from_digit(half.into(), 16));
            }
        }
        digits
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
    let (beginning, rest) = text.split_at_checked("mpt".len()).unwrap_or_default();
    let form = rest.split_once('_').map_or("", |(form, _)| form);
    let begins = beginning.eq_ignore_ascii_case("mpt")
        && !form.is_empty()
        && form.bytes().all(|digit| digit.is_ascii_digit());
    let may_begin = text.char_indices().take(PREFIX.len() + 1).filter_map(|(at, _)| text.get(at..));
    begins || may_begin.into_iter().any(|encoded| decode(encoded).is_some())
}

/// The token in what follows [`PREFIX`].
fn decode(encoded: &str) -> Option<Token> {
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

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::new().chain_update(PREFIX).chain_update(bytes).finalize().into();
    let [one, two, three, four, ..] = digest;
    [one, two, three, four]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET_DIGITS: &str = "000102030405060708090a0b0c0d0e0f";

    fn token(addresses: &[&str]) -> Token {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        Token::new(SECRET_DIGITS, [7; 32].into(), addresses).expect("a token")
    }

    /// The text of those bytes, with the checksum that they should have.
    fn sealed(bytes: &[u8]) -> String {
        let bytes = [bytes, &checksum(bytes)].concat();
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The bytes of a token in front of its addresses.
    fn head(count: u8) -> Vec<u8> {
        [&[1; SECRET][..], &[2; ROOT], &[count]].concat()
    }

    /// Typed from the description above, and made with other tools: `printf`, `sha256sum`, `basenc --base64url`.
    #[test]
    fn the_form_is_the_documented_one() {
        let text = "mpt1_AAECAwQFBgcICQoLDA0ODwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHAg1hLmV4YW1wbGU6MTIzC3VuaXg6L3J1bi94qYFkDQ";
        let token = token(&["a.example:123", "unix:/run/x"]);
        assert_eq!(token.text().as_str(), text);
        assert_eq!(Token::parse(text), Ok(token));
    }

    #[test]
    fn each_character_changed_or_left_out_is_noticed_and_is_no_passphrase() {
        for addresses in [&[][..], &["server.example:50051", "quic:[::1]:7"]] {
            let text = token(addresses).text();
            for (at, character) in text.char_indices() {
                let (before, after) = (&text[..at], &text[at + 1..]);
                for other in ['A', 'b', '0', '_', '-', '=', '+', ' ', '.', '\u{e4}'] {
                    if other == character {
                        continue;
                    }
                    let changed = format!("{before}{other}{after}");
                    assert!(is_token_like(&changed), "{changed}");
                    let fault = Token::parse(&changed).expect_err(&changed);
                    let of_the_beginning = if at < PREFIX.len() { NoToken::Form } else { NoToken::Changed };
                    assert_eq!(fault, of_the_beginning, "{changed}");
                }
                let shorter = format!("{before}{after}");
                assert!(is_token_like(&shorter) && Token::parse(&shorter).is_err(), "{shorter}");
                if at >= PREFIX.len() {
                    assert!(is_token_like(before), "{before}");
                    assert_eq!(Token::parse(before), Err(NoToken::Changed), "{before}");
                } else {
                    assert!(is_token_like(after) && Token::parse(after).is_err(), "{after}");
                }
            }
            for longer in [format!("{}A", &*text), format!("{}=", &*text), format!("{}{}", &*text, &*text)] {
                assert_eq!(Token::parse(&longer), Err(NoToken::Changed), "{longer}");
            }
        }
    }

    #[test]
    fn what_is_meant_as_a_token_is_told_from_passphrases() {
        let (whole, long) = (token(&[]).text(), "x".repeat(3000));
        for (text, meant) in [
            (whole.as_str(), true),
            (&format!("  {}\r\n", &*whole), true),
            (&whole.to_uppercase(), true),
            ("mpt1_", true),
            ("mpt1_AAECAwQF", true),
            ("mpt2_AAECAwQF", true),
            ("mpt10_", true),
            ("", false),
            ("mpt", false),
            ("mpt_1", false),
            ("mptx_secret", false),
            ("mpt1", false),
            ("open sesame", false),
            ("apt1_get", false),
            (&long, false),
        ] {
            assert_eq!(is_token_like(text), meant, "{text}");
        }
    }

    #[test]
    fn blanks_around_a_token_are_none_of_it() {
        let token = token(&["a.example:1"]);
        assert_eq!(Token::parse(&format!(" {}\r\n", &*token.text())), Ok(token));
    }

    #[test]
    fn what_is_no_token_in_spite_of_its_checksum() {
        let with = |count: u8, addresses: &[&str]| {
            let mut bytes = head(count);
            for address in addresses {
                bytes.push(u8::try_from(address.len()).expect("a length"));
                bytes.extend_from_slice(address.as_bytes());
            }
            bytes
        };
        assert!(Token::parse(&sealed(&with(0, &[]))).is_ok());
        assert!(Token::parse(&sealed(&with(8, &["a:1"; 8]))).is_ok());
        let long = "a".repeat(300);
        for bytes in [
            with(1, &[]),
            with(2, &["a:1"]),
            // Bytes after the last one.
            with(0, &["a:1"]),
            [&with(1, &["a:1"])[..], b"\0"].concat(),
            with(9, &["a:1"; 9]),
            with(255, &[]),
            // No addresses, or none as they are written here.
            with(1, &[""]),
            with(1, &["a"]),
            with(1, &["tcp:a:1"]),
            with(1, &["a:01"]),
            with(1, &["http://a:1"]),
            with(1, &["unix:run/x"]),
            [&with(1, &[])[..], b"\x04\xff\xff:1"].concat(),
            // Longer than it is.
            [&with(1, &[])[..], b"\xff", &long.as_bytes()[..254]].concat(),
            head(0)[..SECRET + ROOT].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(Token::parse(&sealed(&bytes)), Err(NoToken::Changed), "{bytes:?}");
        }
        // One form only.
        for (bytes, kind) in
            [(with(0, &[]), "no bits over"), (with(1, &["a:1"]), "two"), (with(1, &["a:12"]), "four")]
        {
            let text = sealed(&bytes);
            let last = text.chars().last().expect("a character");
            let others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            for other in others.chars().filter(|other| *other != last) {
                let other = format!("{}{other}", &text[..text.len() - 1]);
                assert_eq!(Token::parse(&other), Err(NoToken::Changed), "{kind}");
            }
        }
    }

    #[test]
    fn the_longest_token_is_read_and_nothing_longer_is_looked_at() {
        let host = "a".repeat(LONGEST_ADDRESS - ":1".len());
        let address = format!("{host}:1");
        let longest = token(&[address.as_str(); MOST_ADDRESSES]);
        assert_eq!(longest.text().len(), PREFIX.len() + LONGEST_ENCODED);
        assert_eq!(Token::parse(&longest.text()), Ok(longest));
        assert_eq!(Token::parse(&format!("{PREFIX}{}", "A".repeat(1 << 20))), Err(NoToken::Changed));
    }

    #[test]
    fn what_does_not_fit_into_a_token_is_told() {
        let endpoint = |text: &str| -> Endpoint { text.parse().expect("an address") };
        let long = endpoint(&format!("{}:1", "a".repeat(254)));
        for (digits, addresses, expected) in [
            ("", vec![], Unfit::Secret),
            (&SECRET_DIGITS[1..], vec![], Unfit::Secret),
            ("+00102030405060708090a0b0c0d0e0f", vec![], Unfit::Secret),
            ("0001020304050607 8090a0b0c0d0e0f", vec![], Unfit::Secret),
            (
                "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
                vec![],
                Unfit::Secret,
            ),
            (SECRET_DIGITS, vec![endpoint("a:1"); 9], Unfit::TooMany),
            (SECRET_DIGITS, vec![endpoint("a:1"), long.clone()], Unfit::TooLong(long.clone())),
        ] {
            assert_eq!(Token::new(digits, [7; 32].into(), addresses).expect_err(digits), expected);
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let token = token(&[]);
        assert_eq!(format!("{token:?}"), "Token([redacted])");
        assert_eq!(token.secret(), SECRET_DIGITS);
    }

    fn addresses() -> impl Strategy<Value = Vec<Endpoint>> {
        let address = prop_oneof![
            "[a-zA-Z0-9._-]{1,60}:[1-9][0-9]{0,3}",
            "quic:[a-z0-9.-]{1,60}:[1-9][0-9]{0,3}",
            "unix:/[ -~\u{e4}]{0,50}[a-z]",
            Just("[2001:db8::1]:50051".to_owned()),
        ];
        let parsed = address.prop_filter_map("an address", |text| text.parse::<Endpoint>().ok());
        prop::collection::vec(parsed, 0..=MOST_ADDRESSES)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(secret in "[0-9a-f]{32}", root: [u8; 32], addresses in addresses()) {
            let token = Token::new(&secret, root.into(), addresses.clone()).expect("a token");
            let read = Token::parse(&token.text()).expect("the same");
            prop_assert_eq!(read.secret(), secret);
            prop_assert_eq!(read.root(), RootFingerprint::from(root));
            prop_assert_eq!(read.addresses(), addresses);
        }

        #[test]
        fn what_is_read_is_written_so(bytes: Vec<u8>, count in 0_u8..3, checked: bool) {
            let bytes = if checked { [head(count), bytes].concat() } else { bytes };
            let text = sealed(&bytes);
            if let Ok(token) = Token::parse(&text) {
                let written = token.text();
                prop_assert_eq!(written.as_str(), text);
            }
        }

        #[test]
        fn any_text_is_a_token_or_none(text: String, encoded in "[A-Za-z0-9_-]{0,200}") {
            prop_assert!(Token::parse(&text).is_err());
            prop_assert!(Token::parse(&[PREFIX, &encoded].concat()).is_err());
            is_token_like(&text);
        }
    }
}
