//! Files that are this user's alone: private from their first moment, replaced as a whole, changed by one client at
//! a time.
//!
//! What is in them is the matter of who keeps them; only [`list`] knows of lines. It knows the platform alone.

pub(crate) mod list;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::platform;

/// How long another client may hold a lock; it needs milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Why a file could not be used.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// The operating system refused a step.
    #[error("cannot {step} {path}", path = path.display())]
    Io {
        /// The step, as a verb.
        step: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("another program keeps {} locked", .0.display())]
    Locked(PathBuf),
}

impl FileError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::Io { .. } => "Check the permissions and the free space there.".to_owned(),
            Self::Locked(_) => "Wait for the other program, or end it.".to_owned(),
        }
    }

    /// That the system refused `step`, for its reason.
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// All of `input`.
///
/// # Errors
/// It cannot be read, or is longer than `limit` bytes.
pub(crate) fn read_bounded(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match input.take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
        true => Err(too_long(limit)),
        false => Ok(bytes),
    }
}

fn too_long(limit: u64) -> io::Error {
    io::Error::other(format!("it is longer than {limit} bytes"))
}

/// Makes a directory that only its owner may enter, with those above it, so that it survives a power cut: the
/// service may soon know the user by what is in it. Also one that is there, for whoever made it may have been killed
/// before that.
///
/// # Errors
/// The system refuses.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| !above.is_dir()) {
        create_directory(above)?;
    }
    match platform::create_private_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    above.map_or(Ok(()), sync_directory)
}

/// Excludes other clients until the file is dropped.
///
/// # Errors
/// The lock's file cannot be made or locked, or another client holds it for too long.
pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
    let file = platform::open_lock_file(path).map_err(FileError::io("lock", path))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked(path.to_owned())),
        }
    }
}

/// Puts a file in place as a whole, readable by its owner only from the moment it exists.
///
/// # Errors
/// The system refuses; what was there before still is.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    let new = builder.prefix(&format!(".{name}.")).make_in(directory, platform::create_private_file)?;
    // Removed when it is dropped, unless it was renamed.
    let (mut file, mut new) = new.into_parts();
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(name))?;
    new.disable_cleanup(true);
    sync_directory(directory)
}

/// Makes a rename durable. Only Unix has directories that can be synchronised.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
