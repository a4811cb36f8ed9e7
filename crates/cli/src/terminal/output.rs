//! The only places that write to the terminal.

use std::io::{self, Write};

use super::text;

/// Writes a command's result to standard output.
///
/// # Errors
/// Standard output cannot be written. A reader that has gone away, as with `| head`, is none.
pub(crate) fn print(result: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text::printable(result).as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes lines for the user to standard error. If that cannot be written, nobody can be told.
pub(crate) fn tell(message: &str) {
    let message = text::printable(message);
    let _ = writeln!(io::stderr().lock(), "{}", message.trim_end_matches('\n'));
}

/// Writes to standard error as it is: a question whose answer is to be typed on the same line, or control
/// sequences.
pub(crate) fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
