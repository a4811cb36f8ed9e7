//! Input that a command reads: a line or all of standard input, or of a file that the user names in its place.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fmt, mem, thread};

use tokio::sync::oneshot;
use zeroize::{Zeroize, Zeroizing};

use crate::platform;

/// The longest line taken, in bytes.
const MAX_LINE: usize = 4096;

/// Where a command finds its input, as the user writes it.
#[derive(Clone, Debug)]
pub(crate) enum InputFile {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    Named(PathBuf),
}

impl From<&Path> for InputFile {
    fn from(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::Named(path.to_owned()) }
    }
}

impl fmt::Display for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Named(path) => path.display().fmt(f),
        }
    }
}

/// Reads on a thread of its own. A read from a terminal or a pipe cannot be called back: the runtime would
/// wait for a blocking task of its own, while this thread ends with the process.
pub(crate) async fn on_thread<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, outcome) = oneshot::channel();
    thread::Builder::new().name("reader".to_owned()).spawn(move || {
        let _ = done.send(read());
    })?;
    outcome.await.unwrap_or_else(|_| Err(io::Error::other("the reading thread ended")))
}

/// Reads a line of standard input.
pub(super) async fn stdin_line() -> io::Result<Option<Zeroizing<String>>> {
    on_thread(|| platform::stdin_as_utf8().and_then(line_of)).await
}

/// A line without its end, `None` at the end of the input. Reads not one byte further: what follows belongs
/// to whoever reads next, and standard input's own buffer would keep a copy of the secret.
pub(super) fn line_of(mut input: impl Read) -> io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read(byte.as_mut_slice()) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => {
                line.pop_if(|last| *last == b'\r');
                break;
            }
            Ok(_) if line.len() == MAX_LINE => {
                return Err(invalid(&format!("it is longer than {MAX_LINE} bytes")));
            }
            Ok(_) => line.extend_from_slice(byte.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    match String::from_utf8(mem::take(&mut *line)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(invalid("it is not UTF-8 text"))
        }
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline_or_with_the_input() {
        for (input, expected, rest) in [
            ("secret\nmore\n", Some("secret"), "more\n"),
            ("secret\r\nmore", Some("secret"), "more"),
            ("secret", Some("secret"), ""),
            ("trailing\r", Some("trailing\r"), ""),
            ("  spaces stay \n", Some("  spaces stay "), ""),
            ("p\u{e4}ss=w\u{f6}rd\n", Some("p\u{e4}ss=w\u{f6}rd"), ""),
            ("\n", Some(""), ""),
            ("\r\n", Some(""), ""),
            ("", None, ""),
        ] {
            let mut bytes = input.as_bytes();
            let line = line_of(&mut bytes).expect(input);
            assert_eq!(line.as_ref().map(|line| line.as_str()), expected, "{input:?}");
            assert_eq!(bytes, rest.as_bytes(), "{input:?}");
        }
    }

    #[test]
    fn what_is_no_line_of_text_is_refused() {
        let longest = "x".repeat(MAX_LINE);
        assert!(line_of(format!("{longest}\n").as_bytes()).is_ok());
        assert!(line_of(format!("{longest}x").as_bytes()).is_err());
        assert!(line_of(&b"\xff\n"[..]).is_err());
    }
}
