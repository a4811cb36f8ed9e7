//! `multipassd fingerprint`: by what clients on other machines know this daemon.

use std::path::PathBuf;

use thiserror::Error;

use crate::platform::{Directories, NoDirectory};
use crate::server_identity::{self, ServerIdentityError};

/// Why there is no fingerprint to tell.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// No place for the daemon's files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The daemon has not run there.
    #[error(
        "there is no root certificate in {0}; start multipassd once, and run this as the user who runs it, with the same \
         MULTIPASS_STORAGE"
    )]
    NoRoot(PathBuf),
    /// The root certificate cannot be read, or is none.
    #[error(transparent)]
    Root(#[from] ServerIdentityError),
}

/// The fingerprint of the root certificate's key, as clients show it.
///
/// # Errors
/// There is no root certificate, or it cannot be read.
pub fn fingerprint() -> Result<String, FingerprintError> {
    let data = Directories::find()?.data;
    match server_identity::root_fingerprint(&data)? {
        Some(fingerprint) => Ok(fingerprint.to_string()),
        None => Err(FingerprintError::NoRoot(data)),
    }
}
