//! What differs between operating systems: directories, users, signals, who manages services.

#[cfg(windows)]
pub mod windows_service;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The daemon's directories.
#[derive(Clone, Debug)]
pub struct Directories {
    /// `<data>`: keys, certificates and trusted clients.
    pub data: PathBuf,
    /// What can be had again: images.
    pub cache: PathBuf,
    /// Where the root certificate is published, unless the administrator says otherwise.
    pub root_certificate: PathBuf,
}

/// No place for the daemon's files could be found.
#[derive(Debug, Error)]
#[error("{MISSING} set; set MULTIPASS_STORAGE to a directory for the daemon's files")]
pub struct NoDirectory;

const MISSING: &str = if cfg!(windows) { "LOCALAPPDATA is not" } else { "neither XDG_DATA_HOME nor HOME is" };

impl Directories {
    /// The directories for this user and environment: under `MULTIPASS_STORAGE` if it is set, the
    /// system's for root, the user's own otherwise.
    ///
    /// # Errors
    /// An ordinary user without a home directory.
    pub fn find() -> Result<Self, NoDirectory> {
        let storage = std::env::var_os("MULTIPASS_STORAGE").filter(|path| !path.is_empty());
        let (data, cache) = match storage.map(PathBuf::from) {
            Some(storage) => (storage.join("data"), storage.join("cache")),
            None if is_system_service() => (system_data(), system_cache()),
            None => {
                let (data, cache) = user_directories().ok_or(NoDirectory)?;
                (data.join("multipassd"), cache.join("multipassd"))
            }
        };
        let root_certificate = match is_system_service() {
            // Wherever its data are, other users' clients look there.
            true => system_root_certificate(),
            false => data.join("multipass_root_cert.pem"),
        };
        Ok(Self { data, cache, root_certificate })
    }
}

#[cfg(target_os = "macos")]
fn system_data() -> PathBuf {
    PathBuf::from("/Library/Application Support/multipassd")
}

#[cfg(target_os = "macos")]
fn system_cache() -> PathBuf {
    PathBuf::from("/Library/Caches/multipassd")
}

#[cfg(all(unix, not(target_os = "macos")))]
fn system_data() -> PathBuf {
    PathBuf::from("/var/lib/multipassd")
}

#[cfg(all(unix, not(target_os = "macos")))]
fn system_cache() -> PathBuf {
    PathBuf::from("/var/cache/multipassd")
}

#[cfg(windows)]
fn system_data() -> PathBuf {
    let base = win32::program_data().unwrap_or_else(|_| PathBuf::from(r"C:\ProgramData"));
    base.join(r"Multipass\data")
}

/// Beside the data that it is made with, as clients of the stock service expect it: a path's last part alone decides
/// who may read what is there.
#[cfg(windows)]
fn system_root_certificate() -> PathBuf {
    system_data().join("multipass_root_cert.pem")
}

#[cfg(unix)]
fn system_root_certificate() -> PathBuf {
    transport::system_root_certificate()
}

#[cfg(windows)]
fn system_cache() -> PathBuf {
    system_data().with_file_name("cache")
}

/// The configuration file of the machine's daemon.
#[cfg(unix)]
#[must_use]
pub fn system_config_file() -> PathBuf {
    PathBuf::from("/etc/multipassd.toml")
}

/// The configuration file of the machine's daemon.
#[cfg(windows)]
#[must_use]
pub fn system_config_file() -> PathBuf {
    system_data().with_file_name("multipassd.toml")
}

/// Where a user's programs keep their data, and what can be had again.
#[cfg(unix)]
fn user_directories() -> Option<(PathBuf, PathBuf)> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let either = |name, below: &str| absolute(name).or_else(|| Some(absolute("HOME")?.join(below)));
    Some((either("XDG_DATA_HOME", ".local/share")?, either("XDG_CACHE_HOME", ".cache")?))
}

/// Where a user's programs keep their data, and what can be had again.
#[cfg(windows)]
fn user_directories() -> Option<(PathBuf, PathBuf)> {
    let local = std::env::var_os("LOCALAPPDATA").map(PathBuf::from).filter(|path| path.is_absolute())?;
    Some((local.clone(), local.join("cache")))
}

/// Whom a daemon serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceScope {
    /// All users of the machine.
    System,
    /// The user who runs it.
    User,
}

/// Whom this daemon serves.
#[must_use]
pub fn service_scope() -> ServiceScope {
    if is_system_service() { ServiceScope::System } else { ServiceScope::User }
}

/// Whether this daemon is the machine's, serving all of its users.
#[cfg(unix)]
#[must_use]
pub fn is_system_service() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this daemon is the machine's, serving all of its users: it runs as the system or as administrator.
#[cfg(windows)]
#[must_use]
pub fn is_system_service() -> bool {
    win32::is_elevated()
}

/// The user whom this daemon runs as.
#[cfg(unix)]
#[must_use]
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The user whom this daemon runs as: on Windows one whom no peer has, for none comes over a Unix socket.
#[cfg(windows)]
#[must_use]
pub fn own_uid() -> u32 {
    u32::MAX
}

/// The administrators' group of the machine's daemon: the first that exists of `sudo`, `admin` and `wheel`, or
/// else root's. A user's own daemon has none.
///
/// # Errors
/// The group database cannot be read.
#[cfg(unix)]
pub fn admin_group() -> io::Result<Option<u32>> {
    if !is_system_service() {
        return Ok(None);
    }
    for name in ["sudo", "admin", "wheel"] {
        match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => return Ok(Some(group.gid.as_raw())),
            // Where there is no group database, musl says so, and glibc that there is no such group.
            Ok(None) | Err(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(0))
}

/// The administrators' group: none on Windows, where nothing is guarded by one.
///
/// # Errors
/// None.
#[cfg(windows)]
pub fn admin_group() -> io::Result<Option<u32>> {
    Ok(None)
}

/// Requests to stop.
#[derive(Debug)]
pub struct StopRequests {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    quit: tokio::signal::windows::CtrlBreak,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
    #[cfg(windows)]
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl StopRequests {
    /// Begins to listen for them: before anything is there that an unhandled signal would leave behind.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn new() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            #[cfg(windows)]
            interrupt: tokio::signal::windows::ctrl_c()?,
            #[cfg(windows)]
            quit: tokio::signal::windows::ctrl_break()?,
            #[cfg(windows)]
            close: tokio::signal::windows::ctrl_close()?,
            #[cfg(windows)]
            shutdown: tokio::signal::windows::ctrl_shutdown()?,
        })
    }

    /// Waits for one.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub async fn next(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            let [terminate, interrupt] = &mut self.signals;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            Ok(())
        }
        #[cfg(windows)]
        {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
                _ = self.close.recv() => {}
                _ = self.shutdown.recv() => {}
                () = windows_service::stop_requested() => {}
            }
            Ok(())
        }
    }
}

/// Keeps what the program has in its memory, keys and passphrases, out of core dumps and out of the reach of its
/// user's other programs.
///
/// # Errors
/// The system refuses.
#[cfg(unix)]
pub fn keep_memory_private() -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // A program that dumps are piped to gets them all the same, unless there are none (core(5)).
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// On Windows an administrator says whether there are dumps, and who reads them.
///
/// # Errors
/// None.
#[cfg(windows)]
pub fn keep_memory_private() -> io::Result<()> {
    Ok(())
}

/// Lets the daemon use as many descriptors as the administrator allows, and tells how many: each
/// connection takes one, and so does each file.
#[cfg(unix)]
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    let most = descriptor_limit_within(soft, hard, MAX_DESCRIPTORS);
    match setrlimit(Resource::RLIMIT_NOFILE, most, hard) {
        Ok(()) => most,
        Err(_) => soft,
    }
}

/// What the system takes for a limit of open files. macOS refuses more than its OPEN_MAX (setrlimit(2)), also where
/// the hard limit is none, as launchd leaves it: the soft one would stay at 256.
#[cfg(unix)]
const MAX_DESCRIPTORS: u64 = if cfg!(target_vendor = "apple") { 10_240 } else { u64::MAX };

/// The soft limit to ask for: never less than there is.
#[cfg(unix)]
fn descriptor_limit_within(soft: u64, hard: u64, system: u64) -> u64 {
    hard.min(system).max(soft)
}

/// Windows has no such limit.
#[cfg(windows)]
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    u64::MAX
}

/// Requests to look at the files again.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangups {
    /// Begins to listen for them. Without this a hangup would end the daemon.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Windows has none.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.signal.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}

/// What a service manager wants to know.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Clients can connect.
    Ready,
    /// The daemon is about to end.
    Stopping,
}

/// Tells systemd, if it started the daemon (`Type=notify`), and so with the service manager of Windows; elsewhere
/// nothing.
pub fn notify_manager(stage: Stage) {
    #[cfg(target_os = "linux")]
    {
        let state = match stage {
            Stage::Ready => sd_notify::NotifyState::Ready,
            Stage::Stopping => sd_notify::NotifyState::Stopping,
        };
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!("cannot tell the service manager: {error}");
        }
    }
    #[cfg(windows)]
    windows_service::notify(stage);
    #[cfg(not(any(target_os = "linux", windows)))]
    let _ = stage;
}

/// A line for a shell that sets a variable.
#[must_use]
pub fn shell_setting(variable: &str, value: &str) -> String {
    if cfg!(windows) {
        return format!("$env:{variable} = '{}'", value.replace('\'', "''"));
    }
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte));
    let quoted = if plain { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) };
    format!("export {variable}={quoted}")
}

/// Where the daemon listens if nobody says otherwise: the system's place for the machine's daemon, the
/// user's own for a user's. `None` if the user has none.
#[must_use]
pub fn default_endpoint() -> Option<transport::Endpoint> {
    if is_system_service() {
        return Some(transport::default_endpoint());
    }
    let directory =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute())?;
    Some(transport::Endpoint::Unix(directory.join("multipassd.sock")))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_descriptors_are_asked_for_than_the_system_takes() {
        const NONE: u64 = u64::MAX;
        for (soft, hard, system, expected) in [
            (1024, 524_288, NONE, 524_288),
            (1024, 1024, NONE, 1024),
            // By launchd.
            (256, NONE, 10_240, 10_240),
            (256, 4096, 10_240, 4096),
            // By an administrator who has found a way.
            (20_000, NONE, 10_240, 20_000),
        ] {
            assert_eq!(descriptor_limit_within(soft, hard, system), expected, "{soft} {hard}");
        }
    }
}
