//! Fingerprints of client certificates, by which the service tells clients apart.

use sha2::{Digest, Sha256};

use super::hex;

/// How much of a fingerprint people are shown: enough to name one client of many, and to give it back.
const SHORT: usize = 12;

/// A certificate's fingerprint, as the service writes it.
pub(crate) fn of_certificate(der: &[u8]) -> String {
    hex::encode(&Sha256::digest(der))
}

/// The beginning of a fingerprint.
pub(crate) fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT).unwrap_or(fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_in_hexadecimal_and_shortened_where_it_can_be() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_certificate(b"abc"), expected);
        for (fingerprint, beginning) in [(expected, "ba7816bf8f01"), ("ab", "ab"), ("", "")] {
            assert_eq!(short(fingerprint), beginning);
        }
        // Not in the middle of a character, whatever a service sends.
        let strange = "x\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}";
        assert_eq!(short(strange), strange);
    }
}
