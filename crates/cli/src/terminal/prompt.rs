//! Asks questions: for secrets without echo on a terminal, or one line from anything else; for a yes.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::pin;

use zeroize::Zeroizing;

use super::input::{self, InputFile, stdin_line};
use super::output;
use super::secret::Secret;
use crate::error::Error;
use crate::platform::{self, EchoOff};

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
        let echo_off = stdin_is_terminal().then(EchoOff::new).transpose().map_err(Error::Input)?;
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
    pub(crate) async fn secret(&mut self, question: &str) -> Result<Secret, Error> {
        let line = match &mut self.echo_off {
            Some(echo_off) => ask_without_echo(question, echo_off).await,
            None => stdin_line().await,
        };
        line.map_err(Error::Input)?.map(Secret::from).ok_or_else(|| {
            let next = "Type the passphrase, or pipe it in as one line.".to_owned();
            Error::usage("No passphrase given: the input ended", Some(next))
        })
    }
}

/// The passphrase in the first line of a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, its line is no text, or it has none.
pub(crate) async fn passphrase_in(file: &Path) -> Result<Secret, Error> {
    let file = InputFile::from(file);
    let line = match &file {
        InputFile::Stdin => stdin_line().await,
        InputFile::Named(path) => {
            note_exposure(path);
            let path = path.clone();
            input::on_thread(move || input::line_of(File::open(path)?)).await
        }
    };
    let line = line.map_err(|source| {
        let next = "Name a file whose first line is the passphrase, or - for standard input.".to_owned();
        Error::failed(format!("cannot read the passphrase in {file}: {source}"), next)
    })?;
    line.map(Secret::from).ok_or_else(|| {
        let next = "Put the passphrase into its first line.".to_owned();
        Error::usage(format!("No passphrase given: {file} is empty"), Some(next))
    })
}

/// Tells whoever keeps a secret in a file that others can access it.
fn note_exposure(file: &Path) {
    if let Ok(Some(exposure)) = platform::exposure(file) {
        let (file, closing) = (file.display(), platform::restrict_command(&file.display().to_string()));
        output::tell(&format!("note: other users can access {file}: {exposure}; `{closing}` closes it"));
    }
}

/// Tells whoever types a secret into a command line that it can be seen there.
pub(crate) fn note_visible_argument(secret: &str, instead: &str) {
    if io::stderr().is_terminal() {
        output::tell(&format!(
            "note: other users of this machine can see {secret} on the command line, and your shell keeps it in \
             its history; {instead}"
        ));
    }
}

/// Tells whoever has set a passphrase on a terminal that others may guess it.
pub(crate) fn warn_of_weakness(weakness: &str) {
    if io::stderr().is_terminal() {
        output::tell(&format!(
            "warning: this passphrase is easy to guess: {weakness}. Whoever knows it can do all that you can; set \
             another one, of four words for example"
        ));
    }
}

/// Whether somebody is there to be asked.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Whether somebody is there who reads a question and types the answer.
pub(crate) fn stdin_and_stderr_are_terminals() -> bool {
    stdin_is_terminal() && io::stderr().is_terminal()
}

/// Asks on a terminal for the whole word, as nobody types it by accident; anything else is a no.
///
/// # Errors
/// The answer is no text.
pub(crate) async fn confirm_in_full(question: &str) -> Result<bool, Error> {
    output::write_stderr(&format!("{question} [yes/no] "));
    let answer = stdin_line().await.map_err(Error::Input)?;
    Ok(answer.is_some_and(|answer| answer.trim().eq_ignore_ascii_case("yes")))
}

/// Asks on a terminal for a yes; anything else is a no.
///
/// # Errors
/// The answer is no text.
pub(crate) async fn confirm(question: &str) -> Result<bool, Error> {
    output::write_stderr(&format!("{question} [y/N] "));
    let answer = stdin_line().await.map_err(Error::Input)?;
    Ok(answer.is_some_and(|answer| ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())))
}

/// Asks on a terminal, and once more when the user has been elsewhere in between.
async fn ask_without_echo(question: &str, echo_off: &mut EchoOff) -> io::Result<Option<Zeroizing<String>>> {
    let mut line = pin!(stdin_line());
    let line = loop {
        output::write_stderr(question);
        tokio::select! {
            line = &mut line => break line,
            back = echo_off.stopped_and_continued() => back?,
        }
    };
    // The user's own newline was not shown.
    output::write_stderr("\n");
    line
}
