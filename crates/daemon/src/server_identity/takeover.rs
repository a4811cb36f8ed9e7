//! What is taken over from another service: its root key, by which clients know it, and the certificate for that.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use durable::{FileError, Readers, private};
use rcgen::KeyPair;
use zeroize::Zeroizing;

use super::{ROOT_FILE, ROOT_KEY_FILE, SERVER_FILE, ServerIdentityError, read, root, write};

/// What became of a root key that was to be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootTakeover {
    /// It is this service's from now on, and so is its certificate if there was one.
    Taken {
        /// Whether there was one.
        certificate: bool,
    },
    /// It is this service's already.
    Known,
    /// This service has another one, which stays.
    HasAnother,
}

/// Makes the root key of another service the one in `data`, if there is none yet, together with that of the
/// `certificates` which is its own: so clients that pin it know this service. No daemon may be running there.
/// *Blocking*.
///
/// # Errors
/// It is no key, or files cannot be read or written.
pub fn take_root_over(
    data: &Path,
    key: (&Path, &str),
    certificates: &[Zeroizing<String>],
    now: SystemTime,
) -> Result<RootTakeover, ServerIdentityError> {
    let (from, text) = key;
    let key = KeyPair::from_pem(text)
        .map_err(|source| ServerIdentityError::NotAKey { path: from.to_owned(), source })?;
    let directory = data.join("certificates");
    let path = directory.join(ROOT_KEY_FILE);
    if let Some(own) = read(&path)? {
        let is_same = KeyPair::from_pem(&own).is_ok_and(|own| own.public_key_raw() == key.public_key_raw());
        return Ok(if is_same { RootTakeover::Known } else { RootTakeover::HasAnother });
    }
    private::directory(&directory).map_err(FileError::write(&directory))?;
    let found = certificates.iter().find_map(|text| root::certificate_in(text, &key, now));
    if let Some(certificate) = &found {
        // Before the key: without it, it is nobody's, and one that does not fit is replaced.
        write(&directory.join(ROOT_FILE), certificate.as_bytes(), Readers::Owner)?;
    }
    write(&path, text.as_bytes(), Readers::Owner)?;
    Ok(RootTakeover::Taken { certificate: found.is_some() })
}

/// Whether a service has certificates in `data`, and it was not this one that made them. *Blocking*.
#[must_use]
pub fn is_of_another_service(data: &Path) -> bool {
    let has = |name| data.join("certificates").join(name).symlink_metadata().is_ok();
    !has(ROOT_FILE) && (has(SERVER_FILE) || has(ROOT_KEY_FILE))
}

/// The text of the root key in another service's data, if there is one. *Blocking*.
///
/// # Errors
/// It cannot be read.
pub fn root_key_in(data: &Path) -> Result<Option<(PathBuf, Zeroizing<String>)>, ServerIdentityError> {
    let path = data.join("certificates").join(ROOT_KEY_FILE);
    Ok(read(&path)?.map(|text| (path, text)))
}

/// The text of a root certificate that some service may have published, if it can be read. *Blocking*.
#[must_use]
pub fn published_in(path: &Path) -> Option<Zeroizing<String>> {
    read(path).ok().flatten()
}
