//! Makes text from elsewhere safe to show on a terminal.

use std::borrow::Cow;

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
pub(crate) fn quoted(text: &str) -> String {
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
            assert_eq!(quoted(text), expected);
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
            assert_eq!(quoted(text), expected);
        }
    }
}
