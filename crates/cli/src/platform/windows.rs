//! Windows.

use std::os::windows::io::AsHandle;
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crossterm::terminal;
use ssh::TerminalSize;

use super::{Denial, Listener, Path, PathBuf, SocketFile};

/// How often the console's size is looked at: nothing tells of a change but the events that keys come with.
const SIZE_INTERVAL: Duration = Duration::from_millis(500);

/// There are no Unix sockets.
///
/// # Errors
/// Always.
pub(crate) fn socket_file(_path: &Path) -> io::Result<SocketFile> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There are no Unix sockets.
///
/// # Errors
/// Always.
pub(crate) async fn listener(_path: &Path) -> io::Result<Listener> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Windows stops no process so.
pub(crate) fn is_stopped(_process: i32) -> bool {
    false
}

/// There are no Unix sockets, to which a way would lead.
pub(crate) fn impassable(_path: &Path) -> Option<PathBuf> {
    None
}

/// There are no Unix sockets, whose directory would be somebody's.
pub(crate) fn owns_directory_of(_path: &Path) -> bool {
    false
}

/// This user's name, as the environment has it.
pub(crate) fn user_name() -> Option<String> {
    std::env::var("USERNAME").ok()
}

/// The user's profile directory already keeps others out.
///
/// # Errors
/// There is no such file.
pub(crate) fn open_to_others(path: &Path) -> io::Result<Option<u32>> {
    fs::metadata(path).map(|_| None)
}

/// Without Unix sockets nothing more is known.
pub(crate) fn explain_denial(path: &Path) -> Denial {
    Denial::Unknown { place: path.display().to_string() }
}

/// The user's profile directory already keeps others out.
///
/// # Errors
/// None.
pub(crate) fn tighten(_file: &fs::File) -> io::Result<bool> {
    Ok(false)
}

/// The user's profile directory already keeps others out.
///
/// # Errors
/// None.
pub(crate) fn others_may_change(_file: &fs::File) -> io::Result<bool> {
    Ok(false)
}

/// Nobody here is let in by name alone.
pub(crate) fn is_root() -> bool {
    false
}

/// The environment leads nobody into another user's profile.
pub(crate) fn is_own(_directory: &Path) -> bool {
    true
}

/// Another user. There is no way to act as one.
pub(crate) enum Account {}

impl Account {
    /// Not possible on this system.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn find(_name: &str) -> io::Result<Option<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called: there is no such value.
    ///
    /// # Errors
    /// None.
    pub(crate) fn command(&self, _arguments: &[&str]) -> io::Result<Command> {
        match *self {}
    }
}

/// Not possible on this system.
pub(crate) fn go_on_as(_name: &str, _arguments: &[&str]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Other users' programs cannot read this process, and dumps go to the user's own directory.
///
/// # Errors
/// None.
pub(crate) fn keep_memory_private() -> io::Result<()> {
    Ok(())
}

/// Opens a file to be read.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

/// Standard input without the buffer that the standard library keeps.
///
/// # Errors
/// It is closed.
pub(crate) fn unbuffered_stdin() -> io::Result<fs::File> {
    io::stdin().as_handle().try_clone_to_owned().map(fs::File::from)
}

/// Waits for Ctrl-C, and returns the number that it has as a signal elsewhere.
///
/// # Errors
/// It cannot be caught.
pub(crate) async fn interrupted() -> io::Result<u8> {
    tokio::signal::ctrl_c().await.map(|()| 2)
}

/// A terminal that does not show what is typed.
pub(crate) struct EchoOff(());

impl EchoOff {
    /// Not possible on this system yet: refused, rather than showing the passphrase.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the terminal's echo cannot be switched off here"))
    }

    /// Never returns.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn stopped_and_continued(&mut self) -> io::Result<()> {
        std::future::pending().await
    }
}

/// A console whose keys and output go through this process as they are. Dropping it brings its settings back.
pub(crate) struct RawTerminal {
    size: TerminalSize,
}

impl RawTerminal {
    /// Takes over the console.
    ///
    /// # Errors
    /// There is none, or its settings cannot be changed.
    pub(crate) fn new() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        // So that a command's control sequences are obeyed, not shown; what cannot do that shows them.
        let _ = crossterm::ansi_support::supports_ansi();
        Ok(Self { size: size() })
    }

    /// The console's size.
    pub(crate) fn size(&self) -> TerminalSize {
        self.size
    }

    /// Waits until the console has another size.
    pub(crate) async fn resized(&mut self) -> Option<TerminalSize> {
        while size() == self.size {
            tokio::time::sleep(SIZE_INTERVAL).await;
        }
        self.size = size();
        Some(self.size)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

/// The usual one where it cannot be told.
fn size() -> TerminalSize {
    let (columns, rows) = terminal::size().unwrap_or((80, 24));
    TerminalSize { columns, rows }
}
