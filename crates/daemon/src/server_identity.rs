//! The server's certificates: a root that clients pin, and a server certificate under it.
//!
//! The root's key decides: as long as it can be read, it is never replaced, and everything else is made
//! again from it when it is missing, expired or does not fit. A root key that is there and cannot be
//! read is an error, not a reason for a new one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::durable::{self, Readers};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use thiserror::Error;
use transport::tls::{Identity, IdentityError, SERVER_NAME};
use zeroize::Zeroizing;

use crate::platform;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a root certificate is valid (the stock service's figure).
const ROOT_LIFE: Duration = DAY.saturating_mul(3650);
/// How long a server certificate is valid: the most that platforms accept (Apple, HT210176).
const SERVER_LIFE: Duration = DAY.saturating_mul(825);
/// Certificates begin a day early, for clients whose clock is behind.
const CLOCK_SKEW: Duration = DAY;

/// Why the server has no identity.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerIdentityError {
    /// A file or directory could not be read.
    #[error("cannot read {path}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or directory could not be written.
    #[error("cannot write {path}")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's reason.
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
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
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
    platform::make_private_directory(&directory).map_err(|e| write_error(&directory, e))?;
    let root_key = root_key(&directory.join("localhost_root_key.pem"))?;
    let root = root_certificate(&directory.join("localhost_root.pem"), published, &root_key, now)?;
    publish(&root, published)?;
    server_identity(&directory, &root, &root_key, now)
}

fn root_key(path: &Path) -> Result<KeyPair, ServerIdentityError> {
    if let Some(text) = read(path)? {
        return KeyPair::from_pem(&text)
            .map_err(|source| ServerIdentityError::RootKey { path: path.to_owned(), source });
    }
    let key = KeyPair::generate()?;
    write(path, Zeroizing::new(key.serialize_pem()).as_bytes(), Readers::Owner)?;
    tracing::info!("made a new root key in {}", path.display());
    Ok(key)
}

/// The root certificate in PEM: the daemon's private copy, or what it has published, whichever belongs
/// to the root key; a new one otherwise.
fn root_certificate(
    private: &Path,
    published: &Path,
    key: &KeyPair,
    now: SystemTime,
) -> Result<String, ServerIdentityError> {
    for path in [private, published] {
        if let Some(text) = read(path)?
            && root_belongs_to(&text, key, now)
        {
            if path != private {
                write(private, text.as_bytes(), Readers::Owner)?;
            }
            return Ok(text.to_string());
        }
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Multipass Root CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, ROOT_LIFE);
    let text = params.self_signed(key)?.pem();
    write(private, text.as_bytes(), Readers::Owner)?;
    Ok(text)
}

/// Lets every user's client read the root certificate. A file that already says so is left alone.
fn publish(root: &str, path: &Path) -> Result<(), ServerIdentityError> {
    if read(path)?.is_some_and(|text| *text == root) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|e| write_error(directory, e))?;
    }
    write(path, root.as_bytes(), Readers::Everyone)?;
    tracing::info!("published the root certificate in {}", path.display());
    Ok(())
}

fn server_identity(
    directory: &Path,
    root: &str,
    root_key: &KeyPair,
    now: SystemTime,
) -> Result<Identity, ServerIdentityError> {
    let (certificate_path, key_path) = (directory.join("localhost.pem"), directory.join("localhost_key.pem"));
    if let (Some(certificate), Some(key)) = (read(&certificate_path)?, read(&key_path)?)
        && server_is_good(&certificate, root_key, now)
        && let Ok(identity) = Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    {
        return Ok(identity);
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, now, SERVER_LIFE);
    let certificate = params.signed_by(&key, &Issuer::from_ca_cert_pem(root, root_key)?)?.pem();
    let key = Zeroizing::new(key.serialize_pem());
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
    // Whatever a crash leaves of the two does not fit together, and is made again at the next start.
    write(&key_path, key.as_bytes(), Readers::Owner)?;
    write(&certificate_path, certificate.as_bytes(), Readers::Owner)?;
    tracing::info!("made a new server certificate in {}", certificate_path.display());
    Ok(identity)
}

fn set_life(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + life).into();
}

/// Whether a root certificate is of this key and still valid.
fn root_belongs_to(text: &str, key: &KeyPair, now: SystemTime) -> bool {
    with_certificate(text, |certificate| {
        certificate.is_ca()
            && certificate.public_key().raw == key.subject_public_key_info().as_slice()
            && certificate.validity().not_after.timestamp() > seconds(now)
    })
}

/// Whether a server certificate was signed by the root and has more than a third of its life before it.
fn server_is_good(text: &str, root_key: &KeyPair, now: SystemTime) -> bool {
    let spki = root_key.subject_public_key_info();
    with_certificate(text, |certificate| {
        let (start, end) =
            (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        let signed = x509_parser::prelude::FromDer::from_der(&spki)
            .is_ok_and(|(_, key)| certificate.verify_signature(Some(&key)).is_ok());
        let renew_at = end - (end - start) / 3;
        signed && (start..renew_at).contains(&seconds(now))
    })
}

fn with_certificate(
    text: &str,
    check: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> bool,
) -> bool {
    x509_parser::pem::parse_x509_pem(text.as_bytes())
        .is_ok_and(|(_, block)| block.parse_x509().is_ok_and(|certificate| check(&certificate)))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A file's text, wiped after use, or `None` if there is no such file. What is not text is no PEM, and
/// is read as such.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, ServerIdentityError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let bytes = Zeroizing::new(bytes);
            Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ServerIdentityError::Read { path: path.to_owned(), source }),
    }
}

fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), ServerIdentityError> {
    durable::replace(path, bytes, readers).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: io::Error) -> ServerIdentityError {
    ServerIdentityError::Write { path: path.to_owned(), source }
}
