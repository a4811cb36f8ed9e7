//! Linux, macOS and the like.

use std::fs;
use std::io::{self, Stdin};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};
use ssh::TerminalSize;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::{Denial, Path};

/// Finds out why connecting to the socket at `path` was refused.
pub(crate) fn explain_denial(path: &Path) -> Denial {
    let unknown = Denial::Unknown { place: path.display().to_string() };
    let Ok(socket) = fs::metadata(path) else {
        return unknown;
    };
    let access = SocketAccess {
        mode: socket.mode(),
        owner: name_of_user(Uid::from_raw(socket.uid())),
        group: name_of_group(Gid::from_raw(socket.gid())),
        process_has_group: process_groups().contains(&Gid::from_raw(socket.gid())),
        account_has_group: account_has_group(Gid::from_raw(socket.gid())),
    };
    access.denial().unwrap_or(unknown)
}

/// What decides who may connect to a socket.
struct SocketAccess {
    mode: u32,
    owner: String,
    group: String,
    process_has_group: bool,
    account_has_group: bool,
}

impl SocketAccess {
    fn denial(self) -> Option<Denial> {
        const GROUP_WRITES: u32 = 0o020;
        const OTHERS_WRITE: u32 = 0o002;
        let Self { mode, owner, group, process_has_group, account_has_group } = self;
        if mode & OTHERS_WRITE != 0 {
            return None;
        }
        if mode & GROUP_WRITES == 0 {
            return Some(Denial::OwnerOnly { owner });
        }
        match (process_has_group, account_has_group) {
            (true, _) => None,
            (false, true) => Some(Denial::NewMember { group }),
            (false, false) => Some(Denial::NotMember { group }),
        }
    }
}

pub(super) fn name_of_user(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

pub(super) fn name_of_group(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

fn process_groups() -> Vec<Gid> {
    #[cfg(not(target_vendor = "apple"))]
    let listed = nix::unistd::getgroups().unwrap_or_default();
    // Apple's getgroups does not report all groups, so nix leaves it out.
    #[cfg(target_vendor = "apple")]
    let listed = [];
    listed.into_iter().chain([getegid()]).collect()
}

fn account_has_group(gid: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(geteuid()) else {
        return false;
    };
    let listed = |group: Group| group.mem.contains(&user.name);
    user.gid == gid || Group::from_gid(gid).ok().flatten().is_some_and(listed)
}

/// Takes the access of others away from a file that only its owner should read. Returns whether there
/// was any; a file of another user is left alone.
///
/// # Errors
/// The file's mode cannot be read or changed.
pub(crate) fn make_private(file: &fs::File) -> io::Result<bool> {
    const OTHERS_ACCESS: u32 = 0o077;
    let found = file.metadata()?;
    if found.mode() & OTHERS_ACCESS == 0 || found.uid() != geteuid().as_raw() {
        return Ok(false);
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(true)
}

/// Keeps what this process has in its memory, keys and passphrases, out of core dumps and out of the reach of the
/// user's other programs.
///
/// # Errors
/// The system refuses.
pub(crate) fn keep_memory_private() -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // A program that dumps are piped to gets them all the same, unless there are none (core(5)).
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Opens a file to be read. A FIFO is not waited for, and a terminal does not become this process's.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<fs::File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Whether other users, root excepted, can change a file or have made it.
///
/// # Errors
/// The file's owner and mode cannot be read.
pub(crate) fn others_may_change(file: &fs::File) -> io::Result<bool> {
    const OTHERS_WRITE: u32 = 0o022;
    let found = file.metadata()?;
    let own = found.uid() == geteuid().as_raw() || found.uid() == 0;
    Ok(!own || found.mode() & OTHERS_WRITE != 0)
}

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

/// Makes a directory that only this user may enter.
///
/// # Errors
/// It cannot be made, or something has its name.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Makes a file that only this user may read.
///
/// # Errors
/// It cannot be made, or something has its name.
pub(crate) fn create_private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file whose content does not matter, made for this user alone if it is not there.
///
/// # Errors
/// It cannot be opened or made.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Waits for a signal that asks the client to end, and returns its number.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) async fn termination_signal() -> io::Result<u8> {
    // POSIX gives these four their numbers.
    const SIGHUP: u8 = 1;
    const SIGINT: u8 = 2;
    const SIGQUIT: u8 = 3;
    const SIGTERM: u8 = 15;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = hangup.recv() => SIGHUP,
        _ = interrupt.recv() => SIGINT,
        _ = quit.recv() => SIGQUIT,
        _ = terminate.recv() => SIGTERM,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_who_may_connect() {
        let judge = |mode, process_has_group, account_has_group| {
            SocketAccess { mode, owner: "o".into(), group: "g".into(), process_has_group, account_has_group }
                .denial()
        };
        let group = || "g".to_owned();
        assert_eq!(judge(0o660, false, false), Some(Denial::NotMember { group: group() }));
        assert_eq!(judge(0o660, false, true), Some(Denial::NewMember { group: group() }));
        assert_eq!(judge(0o600, false, true), Some(Denial::OwnerOnly { owner: "o".into() }));
        // A directory on the way denies.
        assert_eq!(judge(0o660, true, true), None);
        assert_eq!(judge(0o666, false, false), None);
    }
}
