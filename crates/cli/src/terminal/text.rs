//! Text for a terminal: without what would drive it, as one word for a shell, filled into lines.

use std::borrow::Cow;
use std::iter;

/// Lines are filled up to this many columns.
pub(crate) const COLUMNS: usize = 80;

/// `text` without control characters, newlines and tabs excepted, and without the characters that turn the
/// direction of writing: a service, or whoever named an instance, must not drive the user's terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|character| is_printable(*character)).collect())
}

/// As [`printable`], on one line: for a cell of a table or a part of a sentence.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).trim_end().replace(['\n', '\t'], " ")
}

/// `text` as one word for a shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    let special = if cfg!(windows) { r"\/._-:+,@" } else { "/._-:+,@%" };
    let plain = |character: char| character.is_ascii_alphanumeric() || special.contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if cfg!(windows) {
        // Both shells take that as one word. There is no such quote in a path.
        return format!("\"{}\"", text.replace('"', ""));
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` filled greedily, with lines after the first indented by `indent`. Line breaks in it stay.
pub(crate) fn wrap(text: &str, indent: usize) -> String {
    let width = COLUMNS.saturating_sub(indent);
    let mut filled = String::with_capacity(text.len() + text.len() / 8);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            break_line(&mut filled, indent);
        }
        let mut column = 0;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                break_line(&mut filled, indent);
                column = 0;
            } else if column > 0 {
                filled.push(' ');
                column += 1;
            }
            filled.push_str(word);
            column += length;
        }
    }
    filled
}

fn break_line(text: &mut String, indent: usize) {
    text.push('\n');
    text.extend(iter::repeat_n(' ', indent));
}

fn is_printable(character: char) -> bool {
    match character {
        '\n' | '\t' => true,
        // Marks, overrides and isolates of the bidirectional algorithm (Unicode TR 36, section 3.3).
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        _ => !character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_drives_a_terminal_is_removed() {
        for (text, expected) in [
            ("plain\n\ttext", "plain\n\ttext"),
            ("Gr\u{fc}\u{df}e \u{1f600}", "Gr\u{fc}\u{df}e \u{1f600}"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("\u{1b}]0;title\u{7}", "]0;title"),
            ("over\rwritten\u{8}", "overwritten"),
            ("C1 \u{9b}31m \u{85}", "C1 31m "),
            ("nul\0 del\u{7f}", "nul del"),
            ("\u{202e}gnp.exe\u{2066}", "gnp.exe"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        assert_eq!(one_line("a\nb\tc\r\n"), "a b c");
    }

    #[test]
    fn lines_are_filled_to_the_last_column() {
        let word = "x".repeat(39);
        for (text, indent, expected) in [
            ("", 4, String::new()),
            ("one  two", 4, "one two".to_owned()),
            (&format!("{word} {word}y"), 0, format!("{word} {word}y")),
            (&format!("{word} {word}yz"), 0, format!("{word}\n{word}yz")),
            (&format!("{word} {word}"), 2, format!("{word}\n  {word}")),
            ("one\ntwo\n", 2, "one\n  two\n  ".to_owned()),
            // What is too long for any line has one of its own.
            (&format!("a {} b", "y".repeat(90)), 0, format!("a\n{}\nb", "y".repeat(90))),
        ] {
            assert_eq!(wrap(text, indent), expected, "{text:?} {indent}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn a_shell_takes_each_word_as_one() {
        for (text, expected) in [
            (r"C:\x\multipass_cert_key.pem", r"C:\x\multipass_cert_key.pem"),
            (r"C:\a b", r#""C:\a b""#),
            ("%x%", r#""%x%""#),
            (r#"a" b"#, r#""a b""#),
            ("", r#""""#),
        ] {
            assert_eq!(shell_quoted(text), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_each_word_as_one() {
        for (text, expected) in [
            ("/run/multipass_socket", "/run/multipass_socket"),
            ("unix:/a b", "'unix:/a b'"),
            ("[::1]:5", "'[::1]:5'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("a;b", "'a;b'"),
            ("", "''"),
        ] {
            assert_eq!(shell_quoted(text), expected);
        }
    }
}
