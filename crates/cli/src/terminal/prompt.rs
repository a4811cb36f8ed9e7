//! Asks questions: for passphrases without echo on a terminal, or one line from anything else; for a yes.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::pin::pin;
use std::{mem, thread};

use tokio::sync::oneshot;
use zeroize::{Zeroize, Zeroizing};

use crate::credentials::token::{self, NoToken, Token};
use crate::error::Error;
use crate::platform::{self, EchoOff};
use crate::terminal::output;

/// The longest line taken, in bytes.
const MAX_LINE: usize = 4096;

/// A passphrase; wiped from memory when dropped, and never shown.
#[derive(PartialEq, Eq)]
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The passphrase in `text`.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether it is empty, which the service refuses.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is meant as a token, and so is none; see [`token::is_meant`].
    pub(crate) fn is_token(&self) -> bool {
        token::is_meant(&self.0)
    }

    /// The token that it is.
    ///
    /// # Errors
    /// It is none, at least not a whole one.
    pub(crate) fn token(&self) -> Result<Token, NoToken> {
        Token::parse(&self.0)
    }

    /// What makes it easy to guess, if something does.
    pub(crate) fn weakness(&self) -> Option<&'static str> {
        weakness(&self.0)
    }

    /// A copy for a request, which wipes its own.
    pub(crate) fn expose(&self) -> String {
        String::clone(&self.0)
    }
}

/// Shorter ones are guessed, in characters: the least that NIST SP 800-63B-4 allows beside another factor.
const SHORT: usize = 8;
/// Those that are long enough, and among the first that are tried.
const COMMON: [&str; 16] = [
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "00000000",
    "password",
    "password1",
    "passw0rd",
    "passphrase",
    "qwertyui",
    "qwerty123",
    "1q2w3e4r",
    "iloveyou",
    "multipass",
    "changeme",
    "letmein1",
];

fn weakness(passphrase: &str) -> Option<&'static str> {
    if passphrase.chars().count() < SHORT {
        return Some("it is short");
    }
    COMMON
        .iter()
        .any(|common| passphrase.eq_ignore_ascii_case(common))
        .then_some("it is among the most common ones")
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase([redacted])")
    }
}

/// Where answers come from: a terminal, or a pipe or file, where nobody sees a question.
pub(crate) struct Prompt {
    /// The terminal's echo, off for as long as this value lives. Dropping the future that asks, as happens on
    /// a signal, drops this and so brings the echo back.
    echo_off: Option<EchoOff>,
}

impl Prompt {
    /// Prepares standard input.
    ///
    /// # Errors
    /// The terminal does not let its echo be switched off.
    pub(crate) fn open() -> Result<Self, Error> {
        let echo_off = somebody_answers().then(EchoOff::new).transpose().map_err(Error::Input)?;
        Ok(Self { echo_off })
    }

    /// Whether somebody types the answers, and may mistype them.
    pub(crate) fn is_terminal(&self) -> bool {
        self.echo_off.is_some()
    }

    /// Asks `question` and waits for a line.
    ///
    /// # Errors
    /// The input ended before a line began, or is no text.
    pub(crate) async fn passphrase(&mut self, question: &str) -> Result<Passphrase, Error> {
        let line = match &mut self.echo_off {
            Some(echo_off) => ask(question, echo_off).await,
            None => read_line().await,
        };
        line.map_err(Error::Input)?.map(Passphrase).ok_or_else(|| {
            let next = "Type the passphrase, or pipe it in as one line.".to_owned();
            Error::usage("No passphrase given: the input ended", Some(next))
        })
    }
}

/// The passphrase in the first line of a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, its line is no text, or it has none.
pub(crate) async fn passphrase_in(file: &Path) -> Result<Passphrase, Error> {
    let from_stdin = file.as_os_str() == "-";
    let shown = if from_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let line = if from_stdin {
        read_line().await
    } else {
        if let Ok(Some(exposure)) = platform::open_to_others(file) {
            let (file, closing) = (file.display(), platform::closing(&file.display().to_string()));
            output::tell(&format!("note: other users can access {file}: {exposure}; `{closing}` closes it"));
        }
        let path = file.to_owned();
        detached(move || line_of(File::open(path)?)).await
    };
    let line = line.map_err(|source| {
        let next = "Name a file whose first line is the passphrase, or - for standard input.".to_owned();
        Error::failed(format!("cannot read the passphrase in {shown}: {source}"), next)
    })?;
    line.map(Passphrase).ok_or_else(|| {
        let next = "Put the passphrase into its first line.".to_owned();
        Error::usage(format!("No passphrase given: {shown} is empty"), Some(next))
    })
}

/// Tells whoever types a secret into a command line that it can be seen there.
pub(crate) fn tell_that_arguments_are_seen(secret: &str, instead: &str) {
    if io::stderr().is_terminal() {
        output::tell(&format!(
            "note: other users of this machine can see {secret} on the command line, and your shell keeps it in \
             its history; {instead}"
        ));
    }
}

/// Tells whoever has set a passphrase on a terminal that others may guess it.
pub(crate) fn tell_of_weakness(weakness: &str) {
    if io::stderr().is_terminal() {
        output::tell(&format!(
            "warning: this passphrase is easy to guess: {weakness}. Whoever knows it can do all that you can; set \
             another one, of four words for example"
        ));
    }
}

/// Whether somebody is there to be asked.
pub(crate) fn somebody_answers() -> bool {
    io::stdin().is_terminal()
}

/// Whether somebody is there who reads a question and types the answer.
pub(crate) fn somebody_sees_and_answers() -> bool {
    somebody_answers() && io::stderr().is_terminal()
}

/// Asks on a terminal for the whole word, as nobody types it by accident; anything else is a no.
///
/// # Errors
/// The answer is no text.
pub(crate) async fn confirm_in_full(question: &str) -> Result<bool, Error> {
    output::ask(&format!("{question} [yes/no] "));
    let answer = read_line().await.map_err(Error::Input)?;
    Ok(answer.is_some_and(|answer| answer.trim().eq_ignore_ascii_case("yes")))
}

/// Asks on a terminal for a yes; anything else is a no.
///
/// # Errors
/// The answer is no text.
pub(crate) async fn confirm(question: &str) -> Result<bool, Error> {
    output::ask(&format!("{question} [y/N] "));
    let answer = read_line().await.map_err(Error::Input)?;
    Ok(answer.is_some_and(|answer| ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())))
}

/// Asks on a terminal, and once more when the user has been elsewhere in between.
async fn ask(question: &str, echo_off: &mut EchoOff) -> io::Result<Option<Zeroizing<String>>> {
    let mut line = pin!(read_line());
    let line = loop {
        output::ask(question);
        tokio::select! {
            line = &mut line => break line,
            back = echo_off.stopped_and_continued() => back?,
        }
    };
    // The user's own newline was not shown.
    output::ask("\n");
    line
}

/// Reads a line.
async fn read_line() -> io::Result<Option<Zeroizing<String>>> {
    detached(|| platform::typed_or_piped().and_then(line_of)).await
}

/// Reads on a thread of its own. A read from a terminal or a pipe cannot be called back: the runtime would
/// wait for a blocking task of its own, while this thread ends with the process.
pub(crate) async fn detached<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, outcome) = oneshot::channel();
    thread::Builder::new().name("reader".to_owned()).spawn(move || {
        let _ = done.send(read());
    })?;
    outcome.await.unwrap_or_else(|_| Err(io::Error::other("the reading thread ended")))
}

/// A line without its end, `None` at the end of the input. Reads not one byte further: what follows belongs
/// to whoever reads next, and standard input's own buffer would keep a copy of the secret.
fn line_of(mut input: impl Read) -> io::Result<Option<Zeroizing<String>>> {
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

    #[test]
    fn what_is_guessed_at_once_is_weak() {
        for (passphrase, weak) in [
            ("", true),
            ("a b c d", true),
            ("w\u{f6}rter12", false),
            ("\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}", true),
            ("Password", true),
            ("12345678", true),
            ("tulips-in-june", false),
        ] {
            assert_eq!(weakness(passphrase).is_some(), weak, "{passphrase}");
        }
        assert!(COMMON.iter().all(|common| common.chars().count() >= SHORT), "short ones are weak anyway");
    }

    #[test]
    fn passphrases_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", Passphrase::new("s3cret".to_owned())).contains("s3cret"));
    }
}
