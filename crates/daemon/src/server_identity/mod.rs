//! The server's certificates: a root that clients pin, and a server certificate under it.
//!
//! The root's key decides: as long as it can be read, it is never replaced, and everything else is made
//! again from it when it is missing, expired or does not fit. A root key that is there and cannot be
//! read is an error, not a reason for a new one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use durable::{FileError, Readers, private};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use thiserror::Error;
use transport::tls::{
    Identity, IdentityError, ROOT_NAME, RootCertificate, RootCertificateError, RootFingerprint, SERVER_NAME,
    ServerTls,
};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use crate::logging::with_causes;
use crate::platform::Hangups;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a root certificate is valid (the stock service's figure).
const ROOT_LIFE: Duration = DAY.saturating_mul(3650);
/// How long a server certificate is valid: the most that platforms accept (Apple, HT210176).
const SERVER_LIFE: Duration = DAY.saturating_mul(825);
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
/// PEM as everything else here writes it, on every system.
const LINE_ENDING: pem::EncodeConfig = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);

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
    let root_key = root_key(&directory.join(ROOT_KEY_FILE), published)?;
    let root = root_certificate(&directory.join(ROOT_FILE), published, &root_key, now)?;
    publish(&root, published)?;
    let identity = server_identity(&directory, &root, &root_key, now)?;
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
    let root = certificates.iter().find_map(|text| root_of(text, &key, now));
    if let Some(root) = &root {
        // Before the key: without it, it is nobody's, and one that does not fit is replaced.
        write(&directory.join(ROOT_FILE), root.as_bytes(), Readers::Owner)?;
    }
    write(&path, text.as_bytes(), Readers::Owner)?;
    Ok(RootTakeover::Taken { certificate: root.is_some() })
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

fn root_key(path: &Path, published: &Path) -> Result<KeyPair, ServerIdentityError> {
    if let Some(text) = read(path)? {
        return KeyPair::from_pem(&text)
            .map_err(|source| ServerIdentityError::RootKey { path: path.to_owned(), source });
    }
    let key = KeyPair::generate()?;
    write(path, Zeroizing::new(key.serialize_pem()).as_bytes(), Readers::Owner)?;
    if published.exists() {
        tracing::warn!(
            "the root key {} was missing, and a new one is made: clients must read {} again, and those who kept \
             a copy need the new one",
            path.display(),
            published.display()
        );
    } else {
        tracing::info!("made a new root key in {}", path.display());
    }
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
        if let Some(root) = read(path)?.and_then(|text| root_of(&text, key, now)) {
            if path != private {
                write(private, root.as_bytes(), Readers::Owner)?;
            }
            return Ok(root);
        }
    }
    // A daemon that is not the machine's publishes elsewhere, and its data may be those of a stock service, which
    // publishes here whoever runs it. Of no consequence if it cannot be read.
    if let Some(root) =
        published_in(&transport::system_root_certificate()).and_then(|text| root_of(&text, key, now))
    {
        write(private, root.as_bytes(), Readers::Owner)?;
        return Ok(root);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, ROOT_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, ROOT_LIFE);
    let text = params.self_signed(key)?.pem();
    write(private, text.as_bytes(), Readers::Owner)?;
    Ok(text)
}

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
fn publish(root: &str, path: &Path) -> Result<(), ServerIdentityError> {
    let directory = directory_of(path);
    private::create_all(directory).map_err(FileError::write(directory))?;
    open_to_groups(path)?;
    // What stands there already is written again: it may be unreadable for others.
    write(path, root.as_bytes(), Readers::Everyone)?;
    tracing::debug!("published the root certificate in {}", path.display());
    Ok(())
}

fn server_identity(
    directory: &Path,
    root: &str,
    root_key: &KeyPair,
    now: SystemTime,
) -> Result<Identity, ServerIdentityError> {
    let (certificate_path, key_path) = (directory.join(SERVER_FILE), directory.join("localhost_key.pem"));
    if let (Some(certificate), Some(key)) = (read(&certificate_path)?, read(&key_path)?)
        && server_is_good(&certificate, root, root_key, now)
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

/// The root certificate in a text, if it is this key's own and still valid. What else the text holds is
/// left out.
fn root_of(text: &str, key: &KeyPair, now: SystemTime) -> Option<String> {
    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).ok()?;
    let root = block.parse_x509().ok()?;
    let good = root.is_ca()
        && root.public_key().raw == key.subject_public_key_info().as_slice()
        && root.verify_signature(None).is_ok()
        && root.validity().not_after.timestamp() > seconds(now);
    good.then(|| pem::encode_config(&pem::Pem::new("CERTIFICATE", block.contents.as_slice()), LINE_ENDING))
}

/// Whether a server certificate leads to the root, for our name, and has more than a third of its life
/// before it.
fn server_is_good(text: &str, root: &str, root_key: &KeyPair, now: SystemTime) -> bool {
    let (Ok((_, block)), Ok((_, root))) = (
        x509_parser::pem::parse_x509_pem(text.as_bytes()),
        x509_parser::pem::parse_x509_pem(root.as_bytes()),
    ) else {
        return false;
    };
    let (Ok(certificate), Ok(root)) = (block.parse_x509(), root.parse_x509()) else { return false };
    let spki = root_key.subject_public_key_info();
    let signed = x509_parser::prelude::FromDer::from_der(&spki)
        .is_ok_and(|(_, key)| certificate.verify_signature(Some(&key)).is_ok());
    let named = certificate.subject_alternative_name().is_ok_and(|names| {
        names.is_some_and(|names| names.value.general_names.contains(&GeneralName::DNSName(SERVER_NAME)))
    });
    let (start, end) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let renew_at = end - (end - start) / 3;
    signed
        && named
        && certificate.issuer().as_raw() == root.subject().as_raw()
        && (start..renew_at).contains(&seconds(now))
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
