//! Windows.

use std::io::Read;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use ssh::TerminalSize;
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use win32::access::{self, Access, IfExists, Operation, TrustPolicy, untrusted_principal};
use win32::console::{self, Settings};

use super::{Denial, Listener, SocketFile};

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
pub(crate) fn blocked_directory(_path: &Path) -> Option<PathBuf> {
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

/// How others than its owner may use a file; `None` if they may not.
///
/// # Errors
/// There is no such file, or it may not be looked at.
pub(crate) fn exposure(path: &Path) -> io::Result<Option<String>> {
    let another = untrusted_principal(Operation::Use, &access::look_at(path)?, TrustPolicy::WithCaller)?;
    Ok(another.map(|another| format!("'{another}' is on its access list")))
}

/// The command that keeps a file from others. The path is one word.
pub(crate) fn restrict_command(path: &str) -> String {
    // Without what its directory passes on.
    format!("icacls {path} /inheritance:r /grant:r {}:F", user_name().unwrap_or_default())
}

/// Without Unix sockets nothing more is known.
pub(crate) fn explain_denial(path: &Path) -> Denial {
    Denial::Unknown { place: path.display().to_string() }
}

/// Takes the access of others away from a file that only its owner should read, but not that of administrators and
/// the system, who may do everything anyway. Returns whether there was any.
///
/// # Errors
/// The file's access list cannot be read or changed.
pub(crate) fn make_private(file: &fs::File) -> io::Result<bool> {
    if untrusted_principal(Operation::Use, file, TrustPolicy::WithCaller)?.is_none() {
        return Ok(false);
    }
    access::restrict(file, Access::User)?;
    Ok(true)
}

/// Whether other users, administrators excepted, can change a file or have made it.
///
/// # Errors
/// The file's owner and access list cannot be read.
pub(crate) fn others_may_change(file: &fs::File) -> io::Result<bool> {
    Ok(untrusted_principal(Operation::Modify, file, TrustPolicy::WithCaller)?.is_some())
}

/// Makes a directory that only this user may enter.
///
/// # Errors
/// It cannot be made, or something has its name.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    access::create_directory(path, Access::User)
}

/// Makes a file that only this user may read.
///
/// # Errors
/// It cannot be made, or something has its name.
pub(crate) fn create_private_file(path: &Path) -> io::Result<fs::File> {
    access::open_file(path, Access::User, IfExists::Fail)
}

/// Opens a file whose content does not matter, made for this user alone if it is not there.
///
/// # Errors
/// It cannot be opened or made.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<fs::File> {
    access::open_file(path, Access::User, IfExists::Open)
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
pub(crate) fn exec_as(_name: &str, _arguments: &[&str]) -> io::Error {
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
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

/// Standard input without the buffer that the standard library keeps.
///
/// # Errors
/// It is closed.
pub(crate) fn unbuffered_stdin() -> io::Result<fs::File> {
    io::stdin().as_handle().try_clone_to_owned().map(fs::File::from)
}

/// The same, as UTF-8 also where somebody types: a console's bytes are in another encoding.
///
/// # Errors
/// It is closed.
pub(crate) fn stdin_as_utf8() -> io::Result<Box<dyn Read + Send>> {
    match console::Input::new() {
        Some(input) => Ok(Box::new(input)),
        None => Ok(Box::new(unbuffered_stdin()?)),
    }
}

/// Waits for a request to end, and returns the number that it has as a signal elsewhere.
///
/// # Errors
/// It cannot be caught.
pub(crate) async fn termination_signal() -> io::Result<u8> {
    const SIGHUP: u8 = 1;
    const SIGINT: u8 = 2;
    const SIGQUIT: u8 = 3;
    const SIGTERM: u8 = 15;
    let (mut interrupt, mut quit, mut close) = (ctrl_c()?, ctrl_break()?, ctrl_close()?);
    let (mut logoff, mut shutdown) = (ctrl_logoff()?, ctrl_shutdown()?);
    Ok(tokio::select! {
        _ = interrupt.recv() => SIGINT,
        _ = quit.recv() => SIGQUIT,
        _ = close.recv() => SIGHUP,
        _ = logoff.recv() => SIGHUP,
        _ = shutdown.recv() => SIGTERM,
    })
}

/// A console that does not show what is typed. Dropping it brings its settings back.
pub(crate) struct EchoOff {
    _settings: Settings,
}

impl EchoOff {
    /// Switches the echo of standard input's console off. What was typed before is discarded: it was shown, and it
    /// was not meant as the answer.
    ///
    /// # Errors
    /// Standard input is no console, or its settings cannot be changed.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { _settings: Settings::without_echo()? })
    }

    /// Never returns: no key stops a program here.
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
    _input: Settings,
    /// An old console shows control sequences instead of obeying them.
    _output: Option<Settings>,
}

impl RawTerminal {
    /// Takes over the console.
    ///
    /// # Errors
    /// There is none, or its settings cannot be changed.
    pub(crate) fn new() -> io::Result<Self> {
        let input = Settings::raw_input()?;
        Ok(Self { size: size(), _input: input, _output: Settings::with_sequences().ok() })
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

/// The usual one where it cannot be told.
fn size() -> TerminalSize {
    let (columns, rows) = console::size().unwrap_or((80, 24));
    TerminalSize { columns, rows }
}
