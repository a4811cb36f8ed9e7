//! Just enough DER (X.690) to turn an X.509 v3 certificate into a v1 one, which rcgen cannot make.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const BIT_STRING: u8 = 0x03;
/// `[0]` in a TBSCertificate: its version, absent in v1.
pub(super) const VERSION: u8 = 0xa0;
/// `[3]` in a TBSCertificate: its extensions, which only v3 has.
pub(super) const EXTENSIONS: u8 = 0xa3;

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => element.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let significant = length.iter().position(|&byte| byte != 0).expect("it is more than 127");
            let length = &length[significant..];
            element.push(0x80 | u8::try_from(length.len()).expect("at most 8"));
            element.extend_from_slice(length);
        }
    }
    element.extend_from_slice(content);
    element
}

/// The elements within the one element that `whole` is.
pub(super) fn children(whole: &[u8]) -> Vec<&[u8]> {
    let (header, end) = header(whole);
    assert_eq!(end, whole.len(), "exactly one element");
    let mut rest = &whole[header..];
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (_, end) = self::header(rest);
        children.push(&rest[..end]);
        rest = &rest[end..];
    }
    children
}

/// Where the first element's content begins, and where it ends.
fn header(bytes: &[u8]) -> (usize, usize) {
    match bytes[1] {
        short @ 0..=0x7f => (2, 2 + usize::from(short)),
        long => {
            let header = 2 + usize::from(long & 0x7f);
            let length = bytes[2..header].iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            (header, header + length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_form_are_read_back() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let inner = element(BIT_STRING, &vec![7; length]);
            let outer = element(SEQUENCE, &[inner.as_slice(), &inner].concat());
            assert_eq!(children(&outer), [&inner, &inner], "{length}");
        }
        // From X.690, 8.1.3.5: a length of 201 takes the long form.
        assert_eq!(element(0x04, &[0; 201])[..3], [0x04, 0x81, 0xc9]);
    }
}
