//! Bytes as hexadecimal digits.

/// `bytes` in lower-case digits. The text never grows, so that no pieces of a secret are left behind.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for half in [byte >> 4, byte & 0xf] {
            digits.extend(char::from_digit(half.into(), 16));
        }
    }
    digits
}

/// Reads exactly as many bytes as `bytes` has; `None` if `digits` are something else.
pub(super) fn decode_into(bytes: &mut [u8], digits: &str) -> Option<()> {
    // `from_str_radix` would take a sign.
    if digits.len() != 2 * bytes.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_and_read_as_digits() {
        assert_eq!(encode(&[0, 1, 0x7f, 0xff]), "00017fff");
        let mut bytes = [7; 2];
        assert_eq!(decode_into(&mut bytes, "00Ff"), Some(()));
        assert_eq!(bytes, [0, 0xff]);
        for digits in ["", "00f", "00ff0", "+0ff", " 0ff", "0x0f", "\u{e4}\u{e4}", "00fg"] {
            assert_eq!(decode_into(&mut bytes, digits), None, "{digits}");
        }
    }
}
