//! Files: who may use them, and how they are opened and made.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// How others than its owner may read or write a file; `None` if they may not.
///
/// # Errors
/// There is no such file.
pub(crate) fn exposure(path: &Path) -> io::Result<Option<String>> {
    let mode = fs::metadata(path)?.mode() & 0o7777;
    Ok((mode & 0o077 != 0).then(|| format!("its mode is {mode:04o}")))
}

/// The command that keeps a file from others. The path is one word.
pub(crate) fn restrict_command(path: &str) -> String {
    format!("chmod 600 {path}")
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
