//! Standard input and the terminal behind it.

use std::fs;
use std::io::{self, Stdin};
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use ssh::TerminalSize;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

/// Standard input without the buffer that the standard library keeps.
///
/// # Errors
/// It is closed.
pub(crate) fn unbuffered_stdin() -> io::Result<fs::File> {
    io::stdin().as_fd().try_clone_to_owned().map(fs::File::from)
}

/// The same: a terminal's bytes are text as they are.
///
/// # Errors
/// It is closed.
pub(crate) fn stdin_as_utf8() -> io::Result<fs::File> {
    unbuffered_stdin()
}

/// A terminal that does not show what is typed. Dropping it brings the terminal's settings back.
pub(crate) struct EchoOff {
    terminal: Stdin,
    before: Termios,
    silent: Termios,
    stops: SignalStream,
}

impl EchoOff {
    /// Switches the echo of standard input's terminal off. What was typed before is discarded: it was
    /// shown, and it was not meant as the answer.
    ///
    /// # Errors
    /// Standard input is no terminal, or its settings cannot be changed.
    pub(crate) fn new() -> io::Result<Self> {
        let terminal = io::stdin();
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        silent.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        let stops = signal(SignalKind::from_raw(Signal::SIGTSTP as i32))?;
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before, silent, stops })
    }

    /// Returns when the user has stopped the client with Ctrl-Z and continued it. In between, the
    /// terminal has its echo.
    ///
    /// # Errors
    /// The terminal's settings cannot be changed.
    pub(crate) async fn stopped_and_continued(&mut self) -> io::Result<()> {
        self.stops.recv().await;
        tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before)?;
        raise(Signal::SIGSTOP)?;
        tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.silent)?;
        Ok(())
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // What was typed and not entered is part of a secret: the shell must not get to show it.
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// A terminal whose keys and output go through this process as they are. Dropping it brings the terminal's settings
/// back.
pub(crate) struct RawTerminal {
    terminal: Stdin,
    before: Termios,
    resizes: SignalStream,
}

impl RawTerminal {
    /// Takes over standard input's terminal.
    ///
    /// # Errors
    /// Standard input is no terminal, or its settings cannot be changed.
    pub(crate) fn new() -> io::Result<Self> {
        let terminal = io::stdin();
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        let resizes = signal(SignalKind::window_change())?;
        // What was typed ahead is meant for whatever comes.
        tcsetattr(&terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(Self { terminal, before, resizes })
    }

    /// The terminal's size; the usual one if it has none, as where a program plays the terminal.
    pub(crate) fn size(&self) -> TerminalSize {
        match rustix::termios::tcgetwinsize(&self.terminal) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                TerminalSize { columns: size.ws_col, rows: size.ws_row }
            }
            _ => TerminalSize { columns: 80, rows: 24 },
        }
    }

    /// Waits until the terminal has another size; none if that is not told.
    pub(crate) async fn resized(&mut self) -> Option<TerminalSize> {
        self.resizes.recv().await?;
        Some(self.size())
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Not after what is yet to be shown: a terminal that has stopped would never get there.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
