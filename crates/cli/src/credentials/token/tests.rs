//! The form of a token, to the byte.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::encoding::{MAX_ENCODED_LENGTH, checksum};
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
    [&[1; SECRET_LENGTH][..], &[2; ROOT_LENGTH], &[count]].concat()
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
                let of_the_beginning =
                    if at < PREFIX.len() { InvalidToken::Form } else { InvalidToken::Changed };
                assert_eq!(fault, of_the_beginning, "{changed}");
            }
            let shorter = format!("{before}{after}");
            assert!(is_token_like(&shorter) && Token::parse(&shorter).is_err(), "{shorter}");
            if at >= PREFIX.len() {
                assert!(is_token_like(before), "{before}");
                assert_eq!(Token::parse(before), Err(InvalidToken::Changed), "{before}");
            } else {
                assert!(is_token_like(after) && Token::parse(after).is_err(), "{after}");
            }
        }
        for longer in [format!("{}A", &*text), format!("{}=", &*text), format!("{}{}", &*text, &*text)] {
            assert_eq!(Token::parse(&longer), Err(InvalidToken::Changed), "{longer}");
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
        head(0)[..SECRET_LENGTH + ROOT_LENGTH].to_vec(),
        Vec::new(),
    ] {
        assert_eq!(Token::parse(&sealed(&bytes)), Err(InvalidToken::Changed), "{bytes:?}");
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
            assert_eq!(Token::parse(&other), Err(InvalidToken::Changed), "{kind}");
        }
    }
}

#[test]
fn the_longest_token_is_read_and_nothing_longer_is_looked_at() {
    let host = "a".repeat(MAX_ADDRESS_LENGTH - ":1".len());
    let address = format!("{host}:1");
    let longest = token(&[address.as_str(); MAX_ADDRESSES]);
    assert_eq!(longest.text().len(), PREFIX.len() + MAX_ENCODED_LENGTH);
    assert_eq!(Token::parse(&longest.text()), Ok(longest));
    assert_eq!(Token::parse(&format!("{PREFIX}{}", "A".repeat(1 << 20))), Err(InvalidToken::Changed));
}

#[test]
fn what_does_not_fit_into_a_token_is_told() {
    let endpoint = |text: &str| -> Endpoint { text.parse().expect("an address") };
    let long = endpoint(&format!("{}:1", "a".repeat(254)));
    for (digits, addresses, expected) in [
        ("", vec![], InvalidTokenPart::Secret),
        (&SECRET_DIGITS[1..], vec![], InvalidTokenPart::Secret),
        ("+00102030405060708090a0b0c0d0e0f", vec![], InvalidTokenPart::Secret),
        ("0001020304050607 8090a0b0c0d0e0f", vec![], InvalidTokenPart::Secret),
        (
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
            vec![],
            InvalidTokenPart::Secret,
        ),
        (SECRET_DIGITS, vec![endpoint("a:1"); 9], InvalidTokenPart::TooMany),
        (SECRET_DIGITS, vec![endpoint("a:1"), long.clone()], InvalidTokenPart::TooLong(long.clone())),
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
    prop::collection::vec(parsed, 0..=MAX_ADDRESSES)
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
