//! Where the root certificate is published, for every user's client to read and for nobody else to replace.

use std::path::{Path, PathBuf};

use durable::{FileError, Readers, private};

use super::{ServerIdentityError, write};

/// The directories on the way to the published root certificate that members of a group may write to. That is
/// how some systems have `/usr/local`, and whoever is in that group can replace its programs too; so it is told
/// and not refused. *Blocking*.
///
/// # Errors
/// Another user could put another root certificate there.
pub fn open_to_groups(published: &Path) -> Result<Vec<PathBuf>, ServerIdentityError> {
    let directory = directory_of(published);
    private::beyond_other_users(directory)
        .map_err(|source| ServerIdentityError::Place { path: directory.to_owned(), source })
}

fn directory_of(file: &Path) -> &Path {
    // The parent of a bare file name is the empty path.
    file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Lets every user's client read the root certificate.
pub(super) fn publish(root: &str, path: &Path) -> Result<(), ServerIdentityError> {
    let directory = directory_of(path);
    private::create_all(directory).map_err(FileError::write(directory))?;
    open_to_groups(path)?;
    // What stands there already is written again: it may be unreadable for others.
    write(path, root.as_bytes(), Readers::Everyone)?;
    tracing::debug!("published the root certificate in {}", path.display());
    Ok(())
}
