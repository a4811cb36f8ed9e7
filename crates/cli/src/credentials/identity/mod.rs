//! The user's client certificate and its key: found, or made on first need.
//!
//! The files are shared with every other client of the user, the stock ones included. A pair that is there is
//! never replaced, whatever its age, kind of key or X.509 version: the service knows the user by it.

mod error;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use transport::tls::Identity;
use zeroize::Zeroizing;

use crate::files::{self, FileError};
use crate::platform;
use crate::terminal::output;
pub(crate) use error::IdentityStoreError;

const CERTIFICATE_FILE: &str = "multipass_cert.pem";
const KEY_FILE: &str = "multipass_cert_key.pem";
const LOCK_FILE: &str = ".multipass_cert.lock";

/// Larger files hold no certificate or key.
const MAX_FILE_SIZE: u64 = 64 * 1024;
/// A year, as the stock client's. The service does not enforce it.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a user's identity is kept.
#[derive(Debug)]
pub(crate) struct IdentityStore {
    directory: PathBuf,
    /// Whether nothing keeps this user from writing there; see [`platform::is_own`].
    own: bool,
    /// Whether a key of its own that is open to others is closed when it is read.
    repairs_permissions: bool,
}

/// What the store holds.
enum StoredFiles {
    Nothing,
    KeyAlone(Zeroizing<Vec<u8>>),
    Pair(Identity),
}

impl IdentityStore {
    /// The current user's store; nothing is read or created yet.
    ///
    /// # Errors
    /// The environment does not tell where it is.
    pub(crate) fn of_user() -> Result<Self, IdentityStoreError> {
        let directory = platform::identity_directory().ok_or(IdentityStoreError::NoHome)?;
        let own = platform::is_own(&directory);
        Ok(Self { directory, own, repairs_permissions: true })
    }

    /// The same, to be looked at alone: also a key that is open to others stays as it is.
    pub(crate) fn without_repairs(self) -> Self {
        Self { repairs_permissions: false, ..self }
    }

    /// The directory of the files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The certificate's file.
    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.directory.join(CERTIFICATE_FILE)
    }

    /// The key's file.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.join(KEY_FILE)
    }

    /// Whether the identity there is this user's. What is another's is read at most: under `sudo`, the
    /// environment may lead root into a directory where somebody else decides what a path means.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// The identity if there is one. Nothing is created.
    ///
    /// # Errors
    /// The files are there, and cannot be read or used.
    pub(crate) fn load(&self) -> Result<Option<Identity>, IdentityStoreError> {
        Ok(match self.find()? {
            StoredFiles::Pair(identity) => Some(identity),
            StoredFiles::Nothing | StoredFiles::KeyAlone(_) => None,
        })
    }

    /// The identity; a new one if there is none yet. Clients that start at once end up with the same one.
    ///
    /// # Errors
    /// The files are there, and cannot be read or used; or they cannot be created.
    pub(crate) fn load_or_create(&self) -> Result<Identity, IdentityStoreError> {
        if let Ok(StoredFiles::Pair(identity)) = self.find() {
            return Ok(identity);
        }
        if !self.own {
            return Err(IdentityStoreError::NotOwn(self.directory.clone()));
        }
        files::create_directory(&self.directory)
            .map_err(FileError::io("create the directory", &self.directory))?;
        let _held = self.lock()?;
        // Another client may have finished, or have been between its two files, when we looked above.
        match self.find()? {
            StoredFiles::Pair(identity) => Ok(identity),
            StoredFiles::KeyAlone(text) => {
                let key = self.parse_key(&text)?;
                self.certify(&key)
            }
            StoredFiles::Nothing => {
                let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
                let text = Zeroizing::new(key.serialize_pem());
                // The key goes first: a key alone can still get its certificate, the reverse is lost.
                self.write(KEY_FILE, text.as_bytes())?;
                self.certify(&key)
            }
        }
    }

    fn find(&self) -> Result<StoredFiles, IdentityStoreError> {
        let Some(key) = self.read(KEY_FILE)? else {
            return Ok(StoredFiles::Nothing);
        };
        let Some(certificate) = self.read(CERTIFICATE_FILE)? else {
            return Ok(StoredFiles::KeyAlone(key));
        };
        Identity::from_pem(&certificate, &key).map(StoredFiles::Pair).map_err(|source| {
            IdentityStoreError::Unusable {
                certificate: self.directory.join(CERTIFICATE_FILE),
                key: self.directory.join(KEY_FILE),
                source,
            }
        })
    }

    fn parse_key(&self, text: &[u8]) -> Result<Zeroizing<KeyPair>, IdentityStoreError> {
        std::str::from_utf8(text)
            .map_err(|_| rcgen::Error::CouldNotParseKeyPair)
            .and_then(KeyPair::from_pem)
            .map(Zeroizing::new)
            .map_err(|source| IdentityStoreError::KeyUnusable {
                certificate: self.directory.join(CERTIFICATE_FILE),
                key: self.directory.join(KEY_FILE),
                source,
            })
    }

    /// Makes and stores a certificate for the stored key, and reads both back.
    fn certify(&self, key: &KeyPair) -> Result<Identity, IdentityStoreError> {
        let certificate = certificate_parameters().self_signed(key)?;
        self.write(CERTIFICATE_FILE, certificate.pem().as_bytes())?;
        match self.find()? {
            StoredFiles::Pair(identity) => Ok(identity),
            StoredFiles::Nothing | StoredFiles::KeyAlone(_) => {
                let vanished =
                    io::Error::new(io::ErrorKind::NotFound, "the files vanished as they were created");
                Err(FileError::io("read", &self.directory)(vanished).into())
            }
        }
    }

    /// Excludes other clients that are about to create the identity, until the file is dropped.
    fn lock(&self) -> Result<File, IdentityStoreError> {
        let path = self.directory.join(LOCK_FILE);
        Ok(files::lock(&path)?)
    }

    /// The content of one of the files, or `None` if it is not there.
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityStoreError> {
        let path = self.directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::io("read", &path)(error).into()),
        };
        if name == KEY_FILE && self.own && self.repairs_permissions {
            repair_permissions(&file, &path);
        }
        // Room for the whole file from the start: a buffer that grows leaves pieces of the key behind.
        let length = file.metadata().map_or(0, |found| found.len()).min(MAX_FILE_SIZE);
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
        file.take(MAX_FILE_SIZE).read_to_end(&mut content).map_err(FileError::io("read", &path))?;
        Ok(Some(content))
    }

    /// Puts a file in place.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), IdentityStoreError> {
        let replaced = files::replace(&self.directory, name, content);
        Ok(replaced.map_err(FileError::io("write", &self.directory.join(name)))?)
    }
}

/// What a client's certificate says.
fn certificate_parameters() -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "US");
    name.push(DnType::OrganizationName, "Canonical");
    name.push(DnType::CommonName, uuid::Uuid::new_v4().to_string());
    let now = SystemTime::now();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.not_before = now.into();
    parameters.not_after = (now + LIFETIME).into();
    parameters
}

/// Closes a key to others that an earlier client left open to them; the stock client creates it so.
fn repair_permissions(file: &File, path: &Path) {
    match platform::make_private(file) {
        Ok(false) => {}
        Ok(true) => output::tell(&format!(
            "note: other users could access your private key {}; it is now for you alone",
            path.display()
        )),
        Err(error) => output::tell(&format!(
            "warning: other users can access your private key {}, and that cannot be changed: {error}",
            path.display()
        )),
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[cfg(test)]
mod power_cut;

#[cfg(test)]
mod tests;
