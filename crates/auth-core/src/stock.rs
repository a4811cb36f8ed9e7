//! The files that a stock service leaves, as texts: its trusted clients, and its passphrase's hash. Where they are,
//! and whether they can be believed, others know.

use std::ops::Range;

use thiserror::Error;

use crate::store::pem_file::{self, Kind};
use crate::{ClientCertificate, HashError, PassphraseHash};

/// The section and the key of the passphrase's hash in the stock service's settings.
const SECTION: &str = "General";
const KEY: &str = "local.passphrase";
/// What some editors put ahead of a text in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a file of trusted clients holds.
#[derive(Debug, Default)]
pub struct StockClients {
    /// The certificates that are whole, in their order, each once.
    pub certificates: Vec<ClientCertificate>,
    /// The places of parts that should be certificates and are not, in bytes, with what is wrong.
    pub damaged: Vec<(Range<usize>, &'static str)>,
}

impl StockClients {
    /// Reads the text of `multipass_client_certs.pem`.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let mut found = Self::default();
        let mut known = std::collections::HashSet::new();
        for part in pem_file::parse(text) {
            match part.kind {
                Kind::Text => {}
                Kind::Certificate(certificate) if known.insert(certificate.fingerprint()) => {
                    found.certificates.push(certificate);
                }
                Kind::Certificate(_) => {}
                Kind::Damaged(reason) => found.damaged.push((part.bytes, reason)),
            }
        }
        found
    }
}

/// Why the settings tell no passphrase's hash, nor that there is none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StockSettingsError {
    /// They are no text.
    #[error("it is not text in UTF-8")]
    NotText,
    /// The value of the passphrase is no hash.
    #[error("line {line}, the passphrase: {source}")]
    NotAHash {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        source: HashError,
    },
}

/// The passphrase's hash in the text of `multipassd.conf`, or `None` if none is set. As in all such files, the last
/// line about it counts.
///
/// # Errors
/// The text is not what a stock service writes.
pub fn stock_passphrase(settings: &[u8]) -> Result<Option<PassphraseHash>, StockSettingsError> {
    let text = str::from_utf8(settings).map_err(|_| StockSettingsError::NotText)?;
    let (mut in_section, mut found) = (false, None);
    for (line, text) in (1_usize..).zip(text.trim_start_matches(BYTE_ORDER_MARK).lines()) {
        let text = text.trim();
        if let Some(section) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_section = section == SECTION;
        } else if let Some((key, value)) = text.split_once('=')
            && in_section
            && key.trim() == KEY
        {
            found = match value.trim().trim_matches('"') {
                "" => None,
                digits => Some(
                    PassphraseHash::from_stock(digits)
                        .map_err(|source| StockSettingsError::NotAHash { line, source })?,
                ),
            };
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `open sesame`, by Python's `hashlib.scrypt(b"open sesame", salt=b"", n=2**14, r=8, p=1)`.
    const DIGITS: &str = "d3d50625dff1ea310580a6bf39c84da33e9055038520d7ef2c9de541320c55621f4e52f372522a5bf033bc929a7902a0685e157367191b15b01fa7e4ff402e24";

    #[test]
    fn the_hash_is_found_where_the_stock_service_writes_it() {
        for (text, is_set) in [
            (format!("[General]\nlocal.passphrase={DIGITS}\n"), true),
            (format!("[General]\r\nlocal.driver=qemu\r\nlocal.passphrase={DIGITS}\r\n"), true),
            (format!("\u{feff}[General]\nlocal.passphrase = \"{}\"", DIGITS.to_uppercase()), true),
            (format!("[General]\nlocal.passphrase=\nlocal.passphrase={DIGITS}\n"), true),
            (
                format!("[Other]\na=b\n\n[General]\nlocal.passphrase={DIGITS}\n[More]\nlocal.passphrase=x"),
                true,
            ),
            (String::new(), false),
            ("[General]\nlocal.driver=qemu\n".to_owned(), false),
            ("[General]\nlocal.passphrase=\n".to_owned(), false),
            (format!("[General]\nlocal.passphrase={DIGITS}\nlocal.passphrase=\n"), false),
            // Not there: another section, another key, a comment.
            (format!("local.passphrase={DIGITS}\n"), false),
            (format!("[Other]\nlocal.passphrase={DIGITS}\n"), false),
            (format!("[General]\nlocal.passphrases={DIGITS}\n; local.passphrase={DIGITS}\n"), false),
        ] {
            let found = stock_passphrase(text.as_bytes()).unwrap();
            let expected = is_set.then(|| PassphraseHash::from_stock(DIGITS).unwrap());
            assert!(found == expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_hash_is_an_error_that_does_not_show_it() {
        for (value, why) in [
            (DIGITS.get(1..).unwrap().to_owned(), "a digit short"),
            (format!("{DIGITS}0"), "a digit too many"),
            (format!("{}g", DIGITS.get(1..).unwrap()), "no digit"),
            (format!("{}é", DIGITS.get(2..).unwrap()), "as many bytes, not ASCII"),
            (format!("+{}", DIGITS.get(1..).unwrap()), "a sign"),
            ("open sesame".to_owned(), "the passphrase itself"),
            ("@ByteArray(x)".to_owned(), "another kind of value"),
        ] {
            let text = format!("[General]\nlocal.passphrase={value}\n");
            let error = stock_passphrase(text.as_bytes()).unwrap_err();
            assert!(matches!(error, StockSettingsError::NotAHash { line: 2, .. }), "{why}: {error:?}");
            assert!(!format!("{error} {error:?}").contains(&value), "{why}");
        }
        assert!(matches!(stock_passphrase(b"[General]\n\xff"), Err(StockSettingsError::NotText)));
    }

    #[test]
    fn a_client_is_found_once_and_damage_is_told_apart() {
        let pem = include_str!("../tests/it/data/x509_v1.pem");
        let half = pem.get(..pem.len() / 2).unwrap();
        let text = format!("# {pem}\n{pem}words\n{pem}{half}");
        let found = StockClients::read(text.as_bytes());
        assert_eq!(found.certificates.len(), 1);
        assert_eq!(found.damaged.len(), 1, "{:?}", found.damaged);
        assert_eq!(found.damaged.first().unwrap().0, text.len() - half.len()..text.len());
    }
}
