//! The server's certificates: a root that clients pin, and a server certificate under it.
//!
//! The root's key decides: as long as it can be read, it is never replaced, and everything else is made
//! again from it when it is missing, expired or does not fit. A root key that is there and cannot be
//! read is an error, not a reason for a new one.

mod publication;
mod root;
mod server;
mod takeover;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use durable::{FileError, Readers, private};
use rcgen::CertificateParams;
use thiserror::Error;
use transport::tls::{
    Identity, IdentityError, RootCertificate, RootCertificateError, RootFingerprint, ServerTls,
};
use zeroize::Zeroizing;

use crate::logging::with_causes;
use crate::platform::Hangups;
pub use publication::open_to_groups;
pub use takeover::{RootTakeover, is_of_another_service, published_in, root_key_in, take_root_over};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Certificates begin a day early, for clients whose clock is behind.
const CLOCK_SKEW: Duration = DAY;

/// The root's key, by the name that the stock service gave it.
const ROOT_KEY_FILE: &str = "localhost_root_key.pem";
/// The server's certificate, as well.
const SERVER_FILE: &str = "localhost.pem";
/// The daemon's private copy of its root certificate. The stock service has none.
const ROOT_FILE: &str = "localhost_root.pem";
/// The most that is read of a key or certificate, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Why the server has no identity.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerIdentityError {
    /// A file or directory could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another user could publish a root certificate of their own, and with it be taken for this service.
    #[error(
        "the root certificate cannot be published in {path}: fix the owner and mode that follow, or name another \
         place with --root-cert"
    )]
    Place {
        /// The directory.
        path: PathBuf,
        /// Who could, and where.
        source: io::Error,
    },
    /// The root key is there and is no key.
    #[error(
        "{path} is not a usable private key. Clients trust this service by that key, so it is not replaced: restore it from a backup, or remove it to begin with a new one"
    )]
    RootKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rcgen::Error,
    },
    /// What was to be taken over as a root key is none.
    #[error("{path} is not a usable private key")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rcgen::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The root certificate is none that a client could trust.
    #[error("the root certificate cannot be used")]
    Root(#[from] RootCertificateError),
    /// A new certificate and key do not work together.
    #[error("the new server certificate cannot be used")]
    Identity(#[from] IdentityError),
}

/// Loads the server's identity from `<data>/certificates`, making what is missing, and publishes the
/// root certificate at `published`. *Blocking*.
///
/// # Errors
/// Files cannot be read or written, or the root key is unusable.
pub fn load_or_create(
    data: &Path,
    published: &Path,
    now: SystemTime,
) -> Result<Identity, ServerIdentityError> {
    let directory = data.join("certificates");
    private::directory(&directory)
        // A leftover may hold a key; and a root key that is not there for certain must not be published.
        .and_then(|()| durable::clear_leftovers(&directory))
        .map_err(FileError::write(&directory))?;
    let root_key = root::key(&directory.join(ROOT_KEY_FILE), published)?;
    let root = root::certificate(&directory.join(ROOT_FILE), published, &root_key, now)?;
    publication::publish(&root, published)?;
    let identity = server::identity(&directory, &root, &root_key, now)?;
    Ok(identity.followed_by(&RootCertificate::from_pem(root.as_bytes())?))
}

/// The fingerprint by which clients on other machines know the daemon whose files are in `data`; `None` if no
/// daemon has run there yet. *Blocking*.
///
/// It is taken from the daemon's private copy of the root certificate: the published one may lie where others can
/// replace it.
///
/// # Errors
/// The root certificate cannot be read, or is none.
pub fn root_fingerprint(data: &Path) -> Result<Option<RootFingerprint>, ServerIdentityError> {
    let Some(text) = read(&data.join("certificates").join(ROOT_FILE))? else { return Ok(None) };
    Ok(Some(RootCertificate::from_pem(text.as_bytes())?.fingerprint()))
}

/// Looks after the certificates of a daemon that runs: every `interval`, and on each hangup, whatever is
/// due is made again, and `tls` presents it from then on. A root certificate that was removed where it is
/// published is put there again. Never completes.
pub async fn keep_fresh(
    tls: ServerTls,
    data: PathBuf,
    published: PathBuf,
    interval: Duration,
    now: impl Fn() -> SystemTime,
    mut hangups: Hangups,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = hangups.next() => {}
        }
        let (data, published, now) = (data.clone(), published.clone(), now());
        let made = tokio::task::spawn_blocking(move || load_or_create(&data, &published, now)).await;
        match made {
            Ok(Ok(identity)) => tls.renew(identity),
            // The old one is still presented; there is time left for somebody to fix this.
            Ok(Err(error)) => tracing::error!("the server certificate: {}", with_causes(&error)),
            Err(error) => tracing::error!("the server certificate: {error}"),
        }
    }
}

fn set_life(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now - CLOCK_SKEW + life).into();
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A file's text, wiped after use, or `None` if there is no such file. What is not text is no PEM, and
/// is read as such.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let bytes = private::read(path, MAX_FILE).map_err(FileError::read(path))?;
    Ok(bytes.map(|bytes| {
        let bytes = Zeroizing::new(bytes);
        Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
    }))
}

fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), FileError> {
    durable::replace(path, bytes, readers).map(drop).map_err(FileError::write(path))
}
