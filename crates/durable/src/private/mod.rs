//! Files and directories that belong to the daemon alone.
//!
//! A root daemon that uses what another user made, or can still change, does that user's bidding. So a
//! directory must be ours and closed, all above it must be beyond others' reach, links are not followed,
//! and what cannot be read is never taken for missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

/// Makes a directory of our own (0700); one that exists is closed to others. *Blocking*.
///
/// # Errors
/// It cannot be made, is a link, is another user's, or another user could replace it. On Windows, where the rights to a
/// directory do not keep others from the files in it, also if another user could write to it or to a file in it.
pub fn directory(path: &Path) -> io::Result<()> {
    system::own_directory(path)
}

/// Whether [`directory`] would find nothing to make, fix or refuse in the directory itself. A look at its metadata;
/// quick, though *blocking*.
#[must_use]
pub fn is_own_directory(path: &Path) -> bool {
    system::is_own_directory(path)
}

/// Makes a directory that everyone can read (0755), with those above it, whatever the umask. New ones survive
/// a power cut; one that exists is left as it is. *Blocking*.
///
/// # Errors
/// It cannot be made; or there is another user who could put something else where it is to be.
pub fn create_all(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    if let Some(highest) = missing.last() {
        let there = highest.parent().filter(|path| !path.as_os_str().is_empty());
        beyond_other_users(there.unwrap_or(Path::new(".")))?;
    }
    for path in missing.into_iter().rev() {
        let above = path.parent().map_or(Ok(None), crate::open_directory)?;
        match system::create_readable(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.and_then(|()| crate::sync(above))?,
        }
    }
    Ok(())
}

/// The whole of a regular file, or `None` if nothing has its name. *Blocking*.
///
/// # Errors
/// It cannot be read, has more than `limit` bytes, is no regular file, or is a link that leads nowhere.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a FIFO would wait for somebody to write to it.
    system::never_wait(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match path.symlink_metadata() {
                Ok(_) => Err(io::Error::new(io::ErrorKind::NotFound, "it is a link that leads nowhere")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // As much as it is likely to be, and one more to see its end.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Checks that nobody but us and root can change what a path leads to. *Blocking*.
///
/// # Errors
/// Another user can write to the file or to a directory on the way, or could replace one of them; or there is
/// no such file.
pub fn beyond_others(path: &Path) -> io::Result<()> {
    system::beyond_others(path)
}

/// As [`beyond_others`], but leaves groups to the administrator: gives the directories on the way that a group
/// may write to, and root's daemon would otherwise refuse. *Blocking*.
///
/// # Errors
/// As [`beyond_others`], for users.
pub fn beyond_other_users(path: &Path) -> io::Result<Vec<PathBuf>> {
    system::beyond_other_users(path)
}

/// Checks that a service which the system runs can use a program: nobody but administrators and the system, the user
/// who asks included, can change it or put libraries beside it, which it would load in the place of the system's.
/// *Blocking*.
///
/// # Errors
/// A user can; or there is no such program.
#[cfg(windows)]
pub fn program_for_service(program: &Path) -> io::Result<()> {
    system::program_for_service(program)
}

/// Checks that a service which the system runs will find nothing to refuse in a directory that is there, in a file in
/// it, or in a directory in it with its files: nobody but administrators and the system, the user who asks included,
/// owns them, can change them, or can replace what leads to them. *Blocking*.
///
/// # Errors
/// A user can; or it cannot be looked at.
#[cfg(windows)]
pub fn directory_for_service(path: &Path) -> io::Result<()> {
    system::directory_for_service(path)
}

/// Keeps links from being followed, FIFOs from being waited for, and a file that is made from others.
pub fn own_file(options: &mut OpenOptions) {
    system::own_file(options);
}

/// Opens a file to be locked, creating it for us alone. Its contents do not matter. *Blocking*.
///
/// # Errors
/// It cannot be opened, or is a link.
pub fn lock_file(path: &Path) -> io::Result<File> {
    system::open_or_create(path)
}

/// Makes a file for us alone, where nothing has its name. *Blocking*.
///
/// # Errors
/// Something has its name, or it cannot be made.
pub fn new_file(path: &Path) -> io::Result<File> {
    system::create_new(path)
}

/// Lets everyone read a file that was made for us alone.
pub(crate) fn open_to_readers(file: &File) -> io::Result<()> {
    system::open_to_readers(file)
}
