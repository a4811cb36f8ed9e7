//! Where the daemon has its files and its socket, if nobody says otherwise.

use std::path::PathBuf;

use thiserror::Error;

use super::is_system_service;

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
