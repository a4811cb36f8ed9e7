//! Bytes as hexadecimal digits.

use std::fmt;

/// Reads exactly so many bytes; none if the text is something else. Both cases are read.
pub(crate) fn read(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(())
}

/// Writes the digits, in lower case.
pub(crate) fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Appends the digits, in lower case. No piece of them is anywhere else, if the text has room for them.
pub(crate) fn push(bytes: &[u8], text: &mut String) {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_written_and_nothing_else_is() {
        let mut text = String::new();
        push(&[0x00, 0x9a, 0xff], &mut text);
        assert_eq!(text, "009aff");
        let mut bytes = [1; 3];
        for text in ["009aff", "009AFf"] {
            assert_eq!(read(text, &mut bytes), Some(()), "{text}");
            assert_eq!(bytes, [0x00, 0x9a, 0xff]);
        }
        for text in ["", "009af", "009aff0", "009aff00", "+09aff", "00 aff", "009ag0", "\u{e9}\u{e9}\u{e9}"] {
            assert_eq!(read(text, &mut bytes), None, "{text:?}");
        }
    }
}
