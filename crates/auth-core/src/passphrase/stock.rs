//! The hash of a passphrase as the stock service has it: scrypt without salt, always at one cost. It is only ever
//! compared with, and gives way to one of ours.

use argon2::password_hash::phc::Output;
use scrypt::{Params, scrypt};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::Passphrase;
use crate::hex;

/// What our file has before the digits, so that they are taken for nothing else.
pub(super) const MARK: &str = "stock-scrypt:";

/// The binary logarithm of scrypt's N, its r and its p. No text says otherwise, so none can make us use more than
/// their 16 MiB.
const COST: (u8, u32, u32) = (14, 8, 1);
/// The bytes of a hash.
const LENGTH: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct StockHash([u8; LENGTH]);

impl StockHash {
    pub(super) fn from_digits(digits: &str) -> Option<Self> {
        let mut bytes = [0; LENGTH];
        hex::read(digits, &mut bytes)?;
        Some(Self(bytes))
    }

    pub(super) fn as_stored(&self) -> Zeroizing<String> {
        // As long as it gets: what it had outgrown would not be wiped.
        let mut text = Zeroizing::new(String::with_capacity(MARK.len() + LENGTH * 2 + 1));
        text.push_str(MARK);
        hex::push(&self.0, &mut text);
        text
    }

    /// Whether the stock service would take `passphrase`, compared in constant time. *Blocking*: tens of
    /// milliseconds and 16 MiB.
    pub(super) fn matches(&self, passphrase: &Passphrase) -> bool {
        let mut output = Zeroizing::new([0; LENGTH]);
        // `Output` compares in constant time.
        evaluate(as_stock_cuts(passphrase), b"", COST, &mut *output)
            && Output::new(&*output).is_ok_and(|output| Output::new(&self.0).is_ok_and(|own| own == output))
    }
}

/// One evaluation of scrypt; false if it has no such cost or length.
fn evaluate(passphrase: &[u8], salt: &[u8], (log_n, r, p): (u8, u32, u32), output: &mut [u8]) -> bool {
    Params::new(log_n, r, p).is_ok_and(|params| scrypt(passphrase, salt, &params, output).is_ok())
}

/// What the stock service hashes: as many bytes of a passphrase as it has letters.
fn as_stock_cuts(passphrase: &Passphrase) -> &[u8] {
    let text = passphrase.0.expose_secret();
    text.as_bytes().get(..text.chars().count()).unwrap_or_default()
}

/// Whether the stock service takes that passphrase and no other for the one that it has hashed. Where it takes others
/// as well, a hash of the one that was given, with a slip of the finger in its end, could shut out who knows the right
/// one: where letters are left out, at trailing NULs, which HMAC pads its key with, and beyond its block of 64 bytes,
/// for which their hash does as well (RFC 2104, section 2).
pub(super) fn takes_whole(passphrase: &Passphrase) -> bool {
    let text = passphrase.0.expose_secret();
    text.is_ascii() && !text.contains('\0') && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914, section 12.
    #[test]
    fn the_function_is_scrypt() {
        for (passphrase, salt, cost, expected) in [
            (
                "",
                "",
                (4, 1, 1),
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
                 fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            ),
            (
                "password",
                "NaCl",
                (10, 8, 16),
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
                 2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                (14, 8, 1),
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
                 d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            ),
        ] {
            let mut output = [0; LENGTH];
            assert!(evaluate(passphrase.as_bytes(), salt.as_bytes(), cost, &mut output));
            assert!(StockHash::from_digits(expected).is_some_and(|hash| hash.0 == output), "{passphrase:?}");
        }
    }

    #[test]
    fn what_others_are_taken_for_as_well_is_not_whole() {
        let long = "a".repeat(64);
        for (text, whole) in [
            ("open sesame", true),
            ("open sesame\0", false),
            ("\u{e9}t\u{e9}", false),
            (&long, true),
            (&format!("{long}a"), false),
        ] {
            assert_eq!(takes_whole(&Passphrase::new(text.into()).unwrap()), whole, "{text:?}");
        }
    }

    #[test]
    fn as_many_bytes_count_as_there_are_letters() {
        for (text, cut) in [
            ("secret", &b"secret"[..]),
            ("пароль", "пар".as_bytes()),
            // In the middle of a letter.
            ("äb", b"\xc3\xa4"),
            ("aä", b"a\xc3"),
            ("€", b"\xe2"),
        ] {
            assert_eq!(as_stock_cuts(&Passphrase::new(text.into()).unwrap()), cut, "{text}");
        }
    }
}
