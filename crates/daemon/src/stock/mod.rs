//! What a stock service has on the disk: where it is, and whether it can be believed. And the passphrase of one whose
//! directory this daemon goes on with.

mod process;
mod settings_file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use auth_core::{
    Audit, FileStore, Migration, PassphraseHash, StockSettingsError, StoreError, TrustStore, stock_passphrase,
};
use durable::private;
use thiserror::Error;

pub(crate) use process::process_using;
pub(crate) use settings_file::{settings, settings_of};

/// The most that is read of the settings, in bytes.
const MAX_SETTINGS: u64 = 1024 * 1024;

/// Why no passphrase was found in a stock service's settings.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// They cannot be read, or others could have written them.
    #[error("cannot use {path}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// They hold something else.
    #[error("cannot use {path}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: StockSettingsError,
    },
}

/// The passphrase's hash in a stock service's settings; none if there are none, or none is set. *Blocking*.
///
/// # Errors
/// They cannot be read, or another user could have written them.
pub(crate) fn passphrase_in(path: &Path) -> Result<Option<PassphraseHash>, SettingsError> {
    let unusable = |source| SettingsError::Unusable { path: path.to_owned(), source };
    let Some(text) = read(path, MAX_SETTINGS).map_err(unusable)? else { return Ok(None) };
    stock_passphrase(&zeroize::Zeroizing::new(text))
        .map_err(|source| SettingsError::Invalid { path: path.to_owned(), source })
}

/// A file that nobody else can have written, or `None` if there is none. *Blocking*.
///
/// # Errors
/// Others can have, or it cannot be read.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    is_beyond_others(path)?;
    private::read(path, limit)
}

/// Makes sure that nobody else can have written a file, if it is there.
///
/// # Errors
/// Others can have.
pub(crate) fn is_beyond_others(path: &Path) -> io::Result<()> {
    match private::beyond_others(path) {
        // Then it is missing; or it is a link that leads nowhere, which reading it tells.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        checked => checked,
    }
}

/// At the first start over a stock service's directory, takes its passphrase over, for it is not in there. From then
/// on it is looked for no more. *Blocking*.
///
/// # Errors
/// The store cannot be used. That the settings cannot be, is told, and no reason not to start: who is trusted is let
/// in, and sets a new one.
pub(crate) fn take_passphrase_over(
    data: &Path,
    store: &FileStore,
    audit: &dyn Audit,
    now: SystemTime,
) -> Result<(), StoreError> {
    if !crate::server_identity::is_of_another_service(data) {
        return Ok(());
    }
    tracing::info!(
        "{} was another service's: {} clients are trusted",
        data.display(),
        store.clients()?.len()
    );
    let Some(settings) = settings() else { return Ok(()) };
    match passphrase_in(&settings) {
        Ok(Some(hash)) => {
            if (Migration { store, audit }).passphrase(hash, now)? {
                tracing::info!("its passphrase is taken over from {}", settings.display());
            }
        }
        Ok(None) => tracing::info!("no passphrase is set in {}", settings.display()),
        Err(error) => tracing::warn!(
            "its passphrase is not taken over: {}; set one with 'multipass set local.passphrase'",
            crate::logging::with_causes(&error)
        ),
    }
    Ok(())
}
