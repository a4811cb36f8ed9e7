//! The text of the trust file: PEM certificates with anything between them.
//!
//! People append to this file by hand, so nothing in it is an error: what is a certificate is trusted,
//! what was meant to be one and is damaged is told apart, and the rest is kept as it is.

use std::iter;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use memchr::memmem::Finder;

use crate::ClientCertificate;
use crate::certificate::PEM_LABEL;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
/// What some editors put ahead of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A part of the file.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its place in the text.
    pub(crate) bytes: Range<usize>,
    /// What it is.
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Anything outside blocks: comments, blank lines, other PEM blocks.
    Text,
    /// A certificate.
    Certificate(ClientCertificate),
    /// A block that should be a certificate and is not, with the reason.
    Damaged(&'static str),
}

/// Splits a text into parts that follow each other without gaps. Each is made when it is asked for: of
/// 100,000 certificates, one at a time is in memory.
pub(crate) fn parse(text: &[u8]) -> impl Iterator<Item = Part> {
    let marks = Marks { begin: Finder::new(BEGIN), end: Finder::new(END) };
    let mut at = 0;
    iter::from_fn(move || {
        let part = (at < text.len()).then(|| marks.part(text, at))?;
        at = part.bytes.end;
        Some(part)
    })
}

/// What finds the lines around a block.
struct Marks {
    begin: Finder<'static>,
    end: Finder<'static>,
}

impl Marks {
    /// The part that begins at `at`.
    fn part(&self, text: &[u8], at: usize) -> Part {
        let start = self.next_begin(text, at);
        if start > at {
            return Part { bytes: at..start, kind: Kind::Text };
        }
        // A block whose END was lost ends where another begins: in the middle of a line, if that one was
        // appended to the torn line; but if that line is a comment, ahead of the line.
        let mut next = find(&self.begin, text, start + BEGIN.len()).unwrap_or(text.len());
        let lines = text.get(start..next).unwrap_or_default();
        if let Some(newline) = lines.iter().rposition(|byte| *byte == b'\n')
            && lines.get(newline + 1) == Some(&b'#')
        {
            next = start + newline + 1;
        }
        let up_to_next = text.get(start..next).unwrap_or_default();
        match find(&self.end, up_to_next, 0) {
            Some(end) => {
                let bytes = start..start + end + END.len();
                let kind = decode(text.get(bytes.clone()).unwrap_or_default());
                Part { bytes, kind }
            }
            None => Part { bytes: start..next, kind: Kind::Damaged("its END line is missing") },
        }
    }

    /// Where the next block begins: at a line's start, or right where `from` stands (a block appended to a
    /// file that did not end in a newline), or behind a byte order mark. A commented-out block is no block.
    fn next_begin(&self, text: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = find(&self.begin, text, at) {
            let before = text.get(..found).unwrap_or_default();
            if found == from || before.ends_with(b"\n") || before == BYTE_ORDER_MARK {
                return found;
            }
            at = found + BEGIN.len();
        }
        text.len()
    }
}

fn find(what: &Finder<'_>, text: &[u8], from: usize) -> Option<usize> {
    what.find(text.get(from..)?).map(|at| from + at)
}

fn decode(block: &[u8]) -> Kind {
    let Some(der) = plain(block).or_else(|| lenient(block)) else {
        return Kind::Damaged("it is not valid PEM");
    };
    match ClientCertificate::from_der(der) {
        Ok(certificate) => Kind::Certificate(certificate),
        Err(_) => Kind::Damaged("it is not an X.509 certificate"),
    }
}

/// The content of a block as programs write it: lines of base64 and nothing else. It takes a fifth of the
/// instructions that [`lenient`] takes.
fn plain(block: &[u8]) -> Option<Vec<u8>> {
    let mut rest = after_newline(block.strip_prefix(BEGIN)?.strip_suffix(END)?)?;
    let mut base64 = Vec::with_capacity(rest.len());
    while let Some(newline) = memchr(b'\n', rest) {
        let (line, behind) = rest.split_at(newline);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // What stands ahead of a blank line is not content.
        if line.is_empty() {
            return None;
        }
        base64.extend_from_slice(line);
        rest = after_newline(behind)?;
    }
    if rest.is_empty() { STANDARD.decode(base64).ok() } else { None }
}

fn after_newline(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\n").or_else(|| text.strip_prefix(b"\r\n"))
}

/// The content of a block that people have edited: blanks may stand anywhere, headers ahead of a blank line.
fn lenient(block: &[u8]) -> Option<Vec<u8>> {
    let block = pem::parse(block).ok()?;
    debug_assert_eq!(block.tag(), PEM_LABEL);
    Some(block.into_contents())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &[u8]) -> Vec<Part> {
        super::parse(text).collect()
    }

    fn certificate(name: &str) -> ClientCertificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        ClientCertificate::from_der(params.self_signed(&key).unwrap().der().to_vec()).unwrap()
    }

    fn certificates(parts: &[Part]) -> Vec<&ClientCertificate> {
        parts
            .iter()
            .filter_map(|part| match &part.kind {
                Kind::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect()
    }

    fn damaged(text: &[u8]) -> Vec<&[u8]> {
        parse(text)
            .into_iter()
            .filter(|p| matches!(p.kind, Kind::Damaged(_)))
            .map(|p| &text[p.bytes])
            .collect()
    }

    /// A block whose last line was cut.
    fn torn(pem: &str) -> &str {
        &pem[..pem.len() / 2]
    }

    #[test]
    fn blocks_are_found_in_whatever_surrounds_them() {
        let (a, b) = (certificate("a"), certificate("b"));
        let (pa, pb) = (a.to_pem(), b.to_pem());
        for (text, why) in [
            (format!("{pa}{pb}"), "plain concatenation"),
            (format!("# alice\n\n{pa}some words\n{pb}\n\n"), "text between"),
            (format!("{pa}{pb}").replace('\n', "\r\n"), "CRLF"),
            (format!("{}{pb}", pa.trim_end()), "no newline between"),
            (format!("\u{feff}\n{pa}{}", pb.trim_end()), "byte order mark, no newline at the end"),
            (format!("\u{feff}{pa}{pb}"), "byte order mark, no newline after it"),
        ] {
            assert_eq!(certificates(&parse(text.as_bytes())), [&a, &b], "{why}");
            assert!(damaged(text.as_bytes()).is_empty(), "{why}");
        }
    }

    #[test]
    fn a_commented_out_block_is_text() {
        let text: String = certificate("a").to_pem().lines().map(|line| format!("# {line}\n")).collect();
        let parts = parse(text.as_bytes());
        assert!(matches!(parts.as_slice(), [Part { kind: Kind::Text, .. }]), "{parts:?}");
    }

    #[test]
    fn damage_takes_nothing_with_it() {
        let (a, b) = (certificate("a"), certificate("b"));
        let (pa, pb) = (a.to_pem(), b.to_pem());
        let cut = torn(&pb);
        let garbled = pb.replacen("MII", "!!!", 1);
        let not_x509 = pem::encode(&pem::Pem::new(PEM_LABEL, vec![1, 2, 3]));
        for (text, bad, why) in [
            (format!("{pa}{cut}"), cut, "torn last block"),
            (format!("{cut}\n{pa}"), &*format!("{cut}\n"), "torn block, then a good one"),
            (format!("{garbled}{pa}"), garbled.trim_end(), "not base64"),
            (format!("{not_x509}{pa}"), not_x509.trim_end(), "not a certificate"),
            (format!("{pa}-----BEGIN CERTIFICATE-----"), "-----BEGIN CERTIFICATE-----", "just begun"),
        ] {
            assert_eq!(certificates(&parse(text.as_bytes())), [&a], "{why}");
            assert_eq!(damaged(text.as_bytes()), [bad.as_bytes()], "{why}");
        }
    }

    #[test]
    fn a_torn_block_does_not_bring_a_commented_out_one_to_life() {
        let (a, b) = (certificate("a"), certificate("b"));
        let (pa, pb) = (a.to_pem(), b.to_pem());
        let every_line: String = pa.lines().map(|line| format!("# {line}\n")).collect();
        for (commented_out, why) in
            [(every_line, "each line"), (format!("# {pa}"), "its first line"), (format!("#{pa}"), "no blank")]
        {
            let bad = format!("{}\n", torn(&pa));
            let text = format!("{bad}{commented_out}{pb}");
            assert_eq!(certificates(&parse(text.as_bytes())), [&b], "{why}");
            assert_eq!(damaged(text.as_bytes()), [bad.as_bytes()], "{why}");
        }
        // A line that is not a comment is one that something was appended to.
        let text = format!("{}{pb}", torn(&pa));
        assert_eq!(certificates(&parse(text.as_bytes())), [&b]);
        assert_eq!(damaged(text.as_bytes()), [torn(&pa).as_bytes()]);
    }

    #[test]
    fn other_blocks_are_text() {
        let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(parse(text.as_bytes()).as_slice(), [Part { kind: Kind::Text, .. }]));
    }

    #[test]
    fn what_programs_write_is_read_the_quick_way_and_what_people_edit_still_is_read() {
        let certificate = certificate("a");
        let block = certificate.to_pem().trim_end().to_owned();
        let edited = [
            (block.replace('\n', "\n  "), "indented"),
            (block.replacen('\n', "\nComment: mine\n\n", 1), "with a header"),
            (block.replacen('\n', "", 1), "its first line joined"),
            (block.replacen('\n', "\n\n\t\n", 1), "blank lines first"),
        ];
        let quick = [(block.clone(), true, "LF"), (block.replace('\n', "\r\n"), true, "CRLF")];
        for (text, is_quick, why) in
            quick.into_iter().chain(edited.into_iter().map(|(text, why)| (text, false, why)))
        {
            assert_eq!(plain(text.as_bytes()).is_some(), is_quick, "{why}");
            assert_eq!(certificates(&parse(text.as_bytes())), [&certificate], "{why}");
        }
    }

    proptest! {
        /// Whatever the quick way reads, the lenient one reads alike.
        #[test]
        fn both_ways_read_the_same(lines in prop::collection::vec(
            prop_oneof![
                "[A-Za-z0-9+/]{0,8}", Just("TWFu".to_owned()), Just("TQ==".to_owned()), Just("a: b".to_owned()),
                Just("\r".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned()), Just(" ".to_owned()),
            ], 0..12)) {
            let body = lines.concat();
            for block in [format!("\n{body}\n"), format!("\r\n{body}\r\n"), body] {
                let block = [BEGIN, block.as_bytes(), END].concat();
                if let Some(content) = plain(&block) {
                    prop_assert_eq!(lenient(&block), Some(content));
                }
            }
        }

        #[test]
        fn parts_cover_any_text_without_gaps(text in prop::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(), Just(BEGIN.to_vec()), Just(END.to_vec()), Just(b"\n".to_vec()),
                Just(b"\r\n# x\n".to_vec()), Just(b"MIIB".to_vec()),
            ], 0..12).prop_map(|pieces| pieces.concat())) {
            let mut at = 0;
            for part in parse(&text) {
                prop_assert_eq!(part.bytes.start, at);
                prop_assert!(part.bytes.end > at);
                at = part.bytes.end;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn text_between_blocks_never_hides_one(
            // Any lines that do not themselves begin a block, CRLF or LF.
            texts in prop::collection::vec("([ -,.-~\t]{0,40}\r?\n){0,4}", 3), crlf: bool) {
            let (a, b) = (certificate("a"), certificate("b"));
            let mut file = format!("{}{}{}{}{}", texts[0], a.to_pem(), texts[1], b.to_pem(), texts[2]);
            if crlf {
                file = file.replace("\r\n", "\n").replace('\n', "\r\n");
            }
            let parts = parse(file.as_bytes());
            prop_assert_eq!(certificates(&parts), [&a, &b]);
        }

        #[test]
        fn a_tail_torn_anywhere_costs_only_the_last_block(cut in 0usize..2000) {
            let (a, b) = (certificate("a"), certificate("b"));
            let whole = format!("{}{}", a.to_pem(), b.to_pem());
            let cut = a.to_pem().len() + cut % b.to_pem().trim_end().len();
            let parts = parse(&whole.as_bytes()[..cut]);
            prop_assert_eq!(certificates(&parts), [&a]);
        }
    }
}
