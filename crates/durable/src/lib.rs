//! Files that survive a crash: replaced whole, or not at all. And, in [`private`], files and directories that
//! belong to the daemon alone.
//!
//! It knows nothing of what is in them.

mod error;
pub mod private;

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Write};
use std::path::Path;

pub use self::error::FileError;

/// How the names of files begin that are not yet whole.
const LEFTOVER: &str = ".new-";

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// The owner alone (0600).
    Owner,
    /// Everyone (0644).
    Everyone,
}

/// Replaces the file at `path` by `bytes`. When it returns, the new contents survive a power cut;
/// when it fails, the file is
/// whole, with the old contents or, if only the last step failed, the new ones. Gives the new file's metadata,
/// from before anybody else could know it by its name. *Blocking*.
///
/// # Errors
/// The directory cannot be written, or is full.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<Metadata> {
    let directory = path
        .parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a directory"))?;
    // Opened before anything changes: there must be a descriptor for it when the change is made.
    let opened = open_directory(directory)?;
    // Created 0600, beside its target: a rename within one directory is atomic.
    let new = tempfile::Builder::new().prefix(LEFTOVER).make_in(directory, private::new_file)?;
    // Removed when it is dropped, unless it was renamed.
    let (mut file, mut new) = new.into_parts();
    file.write_all(bytes)?;
    if readers == Readers::Everyone {
        private::open_to_readers(&file)?;
    }
    file.sync_all()?;
    let written = file.metadata()?;
    std::fs::rename(&new, path)?;
    new.disable_cleanup(true);
    sync(opened)?;
    Ok(written)
}

/// Makes a directory of our own, if it is missing, and keeps other processes from it for as long as the returned file
/// is open: its `lock`. *Blocking*.
///
/// # Errors
/// The directory or the lock cannot be had as our own, or another process has it.
pub fn hold(directory: &Path) -> Result<File, FileError> {
    private::directory(directory).map_err(FileError::write(directory))?;
    let path = directory.join("lock");
    let lock = private::lock_file(&path).map_err(FileError::write(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(FileError::Write { path, source }),
    }
}

/// Renames a file or a directory within the directory that it is in, so that the new name survives a power cut. *Blocking*.
///
/// # Errors
/// There is no such file, or the directory cannot be written.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let opened = to.parent().map_or(Ok(None), open_directory)?;
    std::fs::rename(from, to)?;
    sync(opened)
}

/// Removes what a crash left of files that were being written in `directory`, where nobody else may be writing
/// now, and makes its names survive a power cut: whoever gave them may have failed before, or have been killed.
/// *Blocking*.
///
/// # Errors
/// The directory cannot be read or written.
pub fn clear_leftovers(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let is_leftover = entry.file_name().as_encoded_bytes().starts_with(LEFTOVER.as_bytes());
        if is_leftover && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    sync_directory(directory)
}

/// Makes the names in a directory survive a power cut. *Blocking*.
///
/// # Errors
/// The directory cannot be opened, or fails.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    sync(open_directory(path)?)
}

/// A directory whose names are to survive a power cut. Windows has no such operation; its renames are
/// journalled.
pub(crate) fn open_directory(path: &Path) -> io::Result<Option<File>> {
    // The parent of a bare file name is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(windows) { Ok(None) } else { File::open(path).map(Some) }
}

pub(crate) fn sync(directory: Option<File>) -> io::Result<()> {
    directory.map_or(Ok(()), |directory| directory.sync_all())
}
