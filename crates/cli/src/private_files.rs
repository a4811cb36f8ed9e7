//! Files that are this user's alone: private from their first moment, replaced as a whole, changed by one client at
//! a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long another client may hold a lock; it needs milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Makes a directory that only its owner may enter, and those above it.
///
/// # Errors
/// The system refuses.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Excludes other clients until the file is dropped. `None` if another one holds the lock for too long.
///
/// # Errors
/// The lock's file cannot be made or locked.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = lock_options().open(path)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(None),
        }
    }
}

pub(crate) fn lock_options() -> fs::OpenOptions {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Puts a file in place as a whole, readable by its owner only from the moment it exists.
///
/// # Errors
/// The system refuses; what was there before still is.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    // tempfile creates with mode 0600.
    let mut file = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name))?;
    // Makes the rename durable. Only Unix has directories that can be synchronised.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
