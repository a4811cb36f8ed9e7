//! Files that survive a crash: replaced whole, or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// The owner alone (0600).
    Owner,
    /// Everyone (0644).
    Everyone,
}

/// Replaces the file at `path` by `bytes`. When it returns, the new contents survive a power cut;
/// when it fails, the old ones are whole. *Blocking*.
///
/// # Errors
/// The directory cannot be written, or is full.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let directory = path
        .parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a directory"))?;
    // Created 0600, beside its target: a rename within one directory is atomic.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if readers == Readers::Everyone {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = readers;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_directory(directory)
}

/// Renames a file within its directory, so that the new name survives a power cut. *Blocking*.
///
/// # Errors
/// There is no such file, or the directory cannot be written.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory survive a power cut. Windows has no such operation; its renames are
/// journalled.
fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a bare file name is the empty path.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if cfg!(windows) { Ok(()) } else { File::open(directory)?.sync_all() }
}
