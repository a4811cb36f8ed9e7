//! `multipassd recover`: the way back for an administrator whom the service does not let in, beside a
//! running daemon or without one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use auth_core::{CertificateError, ClientCertificate, FileStore, Recovery, StoreError, TrustStore};
use durable::private;
use thiserror::Error;

use crate::audit::{self, FileAudit};
use crate::config::Recover;
use crate::platform::{Directories, NoDirectory};
use crate::trust::store_log;

/// The longest file that is read for a certificate, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Why nothing was recovered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// No place for the daemon's files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The daemon has no files there.
    #[error(
        "there is no daemon's data in {0}; run this as the user who runs multipassd, with the same \
         MULTIPASS_STORAGE"
    )]
    NoData(PathBuf),
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}; run this as the user who runs multipassd")]
    Data {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate's file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file does not hold one certificate.
    #[error("{path} does not hold a client's certificate in PEM")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// Clients are trusted, so that no first one is missing.
    #[error(
        "{0} clients are trusted, so none is awaited. To let another one in, use 'multipassd recover \
         --add-cert FILE'"
    )]
    NotEmpty(usize),
    /// The trust store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recovers, and says what is so now.
///
/// # Errors
/// It could not; nothing has changed.
pub fn recover(what: &Recover) -> Result<String, RecoverError> {
    let data = Directories::find()?.data;
    if !data.exists() {
        return Err(RecoverError::NoData(data));
    }
    let fails = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoverError::Data { path, source }
    };
    private::directory(&data).map_err(fails(&data))?;
    // Before anything is touched.
    let certificate = what.add_cert.as_deref().map(read_certificate).transpose()?;
    let records = audit::directory(&data).map_err(fails(&data.join("audit")))?;
    let now = SystemTime::now();
    let store = FileStore::open(&data, now, store_log::log_notice)?;
    let recovery = Recovery { store: &store, audit: &FileAudit::new(&records) };
    match certificate {
        Some(certificate) => {
            recovery.add(&certificate, now)?;
            Ok(format!("The client {} is trusted.", certificate.fingerprint()))
        }
        None if recovery.await_first(now)? => Ok("The first client is awaited: the first administrator to \
            call the service over its Unix socket. A service that runs takes notice within seconds."
            .to_owned()),
        None => Err(RecoverError::NotEmpty(store.clients()?.len())),
    }
}

fn read_certificate(path: &Path) -> Result<ClientCertificate, RecoverError> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let text = private::read(path, MAX_FILE)
        .and_then(|text| text.ok_or_else(missing))
        .map_err(|source| RecoverError::File { path: path.to_owned(), source })?;
    ClientCertificate::from_pem(&text)
        .map_err(|source| RecoverError::Certificate { path: path.to_owned(), source })
}
