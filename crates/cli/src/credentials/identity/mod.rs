//! The user's client certificate and its key: found, or made on first need.
//!
//! The files are shared with every other client of the user, the stock ones included. A pair that is there is
//! never replaced, whatever its age, kind of key or X.509 version: the service knows the user by it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use thiserror::Error;
use transport::tls::{Identity, IdentityError};
use zeroize::Zeroizing;

use crate::files::{self, FileFault};
use crate::platform;
use crate::terminal::output;

const CERTIFICATE_FILE: &str = "multipass_cert.pem";
const KEY_FILE: &str = "multipass_cert_key.pem";
const LOCK_FILE: &str = ".multipass_cert.lock";

/// Larger files hold no certificate or key.
const MAX_FILE_SIZE: u64 = 64 * 1024;
/// A year, as the stock client's. The service does not enforce it.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why the client has no identity.
#[derive(Debug, Error)]
pub(crate) enum IdentityFault {
    /// The environment does not tell where the user's files are.
    #[error("cannot tell where your client certificate belongs: {} is not set", platform::HOME_VARIABLE)]
    NoHome,
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileFault),
    /// The files are there and are not an identity.
    #[error("the client certificate {} and its key {} cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: IdentityError,
    },
    /// The key is there alone, and no certificate can be made for it.
    #[error("the key {} has no certificate {}, and none can be made for it", key.display(), certificate.display())]
    KeyUnusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with the key.
        source: rcgen::Error,
    },
    /// Root was pointed at a directory that another user has in his hands.
    #[error("{} belongs to another user, and root keeps no client certificate there", .0.display())]
    NotOwn(PathBuf),
    /// No key or certificate could be made.
    #[error("cannot make a client certificate")]
    Generate(#[from] rcgen::Error),
}

impl IdentityFault {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::NoHome => format!("Set {} to your home directory.", platform::HOME_VARIABLE),
            Self::File(fault) => fault.next_step(),
            Self::Unusable { .. } | Self::KeyUnusable { .. } => {
                "Restore both files from a backup; or move both away and run `multipass authenticate` with a new \
                 identity."
                    .to_owned()
            }
            Self::NotOwn(_) => format!(
                "Run the command without sudo; or, as root, set {} to root's own home directory: `sudo -H`.",
                platform::HOME_VARIABLE
            ),
            Self::Generate(_) => "Try again.".to_owned(),
        }
    }
}

/// Where a user's identity is kept.
#[derive(Debug)]
pub(crate) struct IdentityStore {
    directory: PathBuf,
    /// Whether nothing keeps this user from writing there; see [`platform::is_own`].
    own: bool,
    /// Whether a key of its own that is open to others is closed when it is read.
    tightens: bool,
}

/// What the store holds.
enum Found {
    Nothing,
    KeyAlone(Zeroizing<Vec<u8>>),
    Pair(Identity),
}

impl IdentityStore {
    /// The current user's store; nothing is read or created yet.
    ///
    /// # Errors
    /// The environment does not tell where it is.
    pub(crate) fn of_user() -> Result<Self, IdentityFault> {
        let directory = platform::identity_directory().ok_or(IdentityFault::NoHome)?;
        let own = platform::is_own(&directory);
        Ok(Self { directory, own, tightens: true })
    }

    /// The same, to be looked at alone: also a key that is open to others stays as it is.
    pub(crate) fn untouched(self) -> Self {
        Self { tightens: false, ..self }
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
    pub(crate) fn existing(&self) -> Result<Option<Identity>, IdentityFault> {
        Ok(match self.find()? {
            Found::Pair(identity) => Some(identity),
            Found::Nothing | Found::KeyAlone(_) => None,
        })
    }

    /// The identity; a new one if there is none yet. Clients that start at once end up with the same one.
    ///
    /// # Errors
    /// The files are there, and cannot be read or used; or they cannot be created.
    pub(crate) fn load_or_create(&self) -> Result<Identity, IdentityFault> {
        if let Ok(Found::Pair(identity)) = self.find() {
            return Ok(identity);
        }
        if !self.own {
            return Err(IdentityFault::NotOwn(self.directory.clone()));
        }
        files::create_directory(&self.directory)
            .map_err(FileFault::io("create the directory", &self.directory))?;
        let _held = self.lock()?;
        // Another client may have finished, or have been between its two files, when we looked above.
        match self.find()? {
            Found::Pair(identity) => Ok(identity),
            Found::KeyAlone(text) => {
                let key = self.parse_key(&text)?;
                self.certify(&key)
            }
            Found::Nothing => {
                let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
                let text = Zeroizing::new(key.serialize_pem());
                // The key goes first: a key alone can still get its certificate, the reverse is lost.
                self.write(KEY_FILE, text.as_bytes())?;
                self.certify(&key)
            }
        }
    }

    fn find(&self) -> Result<Found, IdentityFault> {
        let Some(key) = self.read(KEY_FILE)? else {
            return Ok(Found::Nothing);
        };
        let Some(certificate) = self.read(CERTIFICATE_FILE)? else {
            return Ok(Found::KeyAlone(key));
        };
        Identity::from_pem(&certificate, &key).map(Found::Pair).map_err(|source| IdentityFault::Unusable {
            certificate: self.directory.join(CERTIFICATE_FILE),
            key: self.directory.join(KEY_FILE),
            source,
        })
    }

    fn parse_key(&self, text: &[u8]) -> Result<Zeroizing<KeyPair>, IdentityFault> {
        std::str::from_utf8(text)
            .map_err(|_| rcgen::Error::CouldNotParseKeyPair)
            .and_then(KeyPair::from_pem)
            .map(Zeroizing::new)
            .map_err(|source| IdentityFault::KeyUnusable {
                certificate: self.directory.join(CERTIFICATE_FILE),
                key: self.directory.join(KEY_FILE),
                source,
            })
    }

    /// Makes and stores a certificate for the stored key, and reads both back.
    fn certify(&self, key: &KeyPair) -> Result<Identity, IdentityFault> {
        let certificate = parameters().self_signed(key)?;
        self.write(CERTIFICATE_FILE, certificate.pem().as_bytes())?;
        match self.find()? {
            Found::Pair(identity) => Ok(identity),
            Found::Nothing | Found::KeyAlone(_) => {
                let vanished =
                    io::Error::new(io::ErrorKind::NotFound, "the files vanished as they were created");
                Err(FileFault::io("read", &self.directory)(vanished).into())
            }
        }
    }

    /// Excludes other clients that are about to create the identity, until the file is dropped.
    fn lock(&self) -> Result<File, IdentityFault> {
        let path = self.directory.join(LOCK_FILE);
        Ok(files::lock(&path)?)
    }

    /// The content of one of the files, or `None` if it is not there.
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityFault> {
        let path = self.directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileFault::io("read", &path)(error).into()),
        };
        if name == KEY_FILE && self.own && self.tightens {
            keep_private(&file, &path);
        }
        // Room for the whole file from the start: a buffer that grows leaves pieces of the key behind.
        let length = file.metadata().map_or(0, |found| found.len()).min(MAX_FILE_SIZE);
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
        file.take(MAX_FILE_SIZE).read_to_end(&mut content).map_err(FileFault::io("read", &path))?;
        Ok(Some(content))
    }

    /// Puts a file in place.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), IdentityFault> {
        let replaced = files::replace(&self.directory, name, content);
        Ok(replaced.map_err(FileFault::io("write", &self.directory.join(name)))?)
    }
}

/// What a client's certificate says.
fn parameters() -> CertificateParams {
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
fn keep_private(file: &File, path: &Path) {
    match platform::tighten(file) {
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
mod tests {
    use std::fs::{self, TryLockError};
    use std::thread;

    use transport::testkit::certificates::Kind;

    use super::*;

    struct Fixture {
        _home: tempfile::TempDir,
        store: IdentityStore,
    }

    fn fixture() -> Fixture {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("share/multipass-client-certificate");
        let store = IdentityStore { directory, own: true, tightens: true };
        Fixture { _home: home, store }
    }

    impl Fixture {
        fn path(&self, name: &str) -> PathBuf {
            self.store.directory.join(name)
        }

        fn content(&self, name: &str) -> Vec<u8> {
            fs::read(self.path(name)).expect(name)
        }
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
    }

    #[test]
    fn looking_creates_nothing() {
        let fixture = fixture();
        assert!(fixture.store.existing().expect("no fault").is_none());
        assert!(!fixture.store.directory.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_identity_is_private_and_stays() {
        let fixture = fixture();
        fixture.store.load_or_create().expect("created");
        assert_eq!(mode(&fixture.store.directory), 0o700);
        for name in [CERTIFICATE_FILE, KEY_FILE, LOCK_FILE] {
            assert_eq!(mode(&fixture.path(name)), 0o600, "{name}");
        }
        assert!(fixture.content(KEY_FILE).starts_with(b"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(
            fs::read_dir(&fixture.store.directory).expect("readable").count(),
            3,
            "nothing is left over"
        );

        let before = (fixture.content(CERTIFICATE_FILE), fixture.content(KEY_FILE));
        fixture.store.load_or_create().expect("loaded");
        assert!(fixture.store.existing().expect("loaded").is_some());
        assert_eq!(before, (fixture.content(CERTIFICATE_FILE), fixture.content(KEY_FILE)));
    }

    #[test]
    fn the_certificate_is_a_client_s() {
        let fixture = fixture();
        fixture.store.load_or_create().expect("created");
        let text = fixture.content(CERTIFICATE_FILE);
        let (_, pem) = x509_parser::pem::parse_x509_pem(&text).expect("PEM");
        let certificate = pem.parse_x509().expect("X.509");
        let subject = certificate.subject().to_string();
        let name = subject.strip_prefix("C=US, O=Canonical, CN=").expect(&subject);
        assert_eq!(uuid::Uuid::parse_str(name).expect(name).get_version_num(), 4);
        assert_eq!(certificate.version(), x509_parser::x509::X509Version::V3);
        let constraints = certificate.basic_constraints().expect("valid").expect("present");
        assert!(!constraints.value.ca);
        let usage = certificate.extended_key_usage().expect("valid").expect("present");
        assert!(usage.value.client_auth && !usage.value.server_auth);
        let validity = certificate.validity();
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
        assert_eq!(days, 365);
        assert!(validity.is_valid());
    }

    #[test]
    fn identities_of_every_kind_and_age_are_used_as_they_are() {
        for kind in Kind::ALL {
            let (fixture, stock) = (fixture(), kind.generate());
            files::create_directory(&fixture.store.directory).expect("created");
            fs::write(fixture.path(CERTIFICATE_FILE), stock.certificate_pem()).expect("written");
            fs::write(fixture.path(KEY_FILE), stock.key_pem()).expect("written");
            fixture.store.load_or_create().unwrap_or_else(|fault| panic!("{kind:?}: {fault}"));
            assert_eq!(fixture.content(CERTIFICATE_FILE), stock.certificate_pem().as_bytes(), "{kind:?}");
            assert_eq!(fixture.content(KEY_FILE), stock.key_pem().as_bytes(), "{kind:?}");
        }
    }

    #[test]
    fn clients_that_start_at_once_share_one_identity() {
        let fixture = fixture();
        let store = &fixture.store;
        thread::scope(|scope| {
            let clients: Vec<_> = (0..16).map(|_| scope.spawn(|| store.load_or_create().map(drop))).collect();
            for client in clients {
                client.join().expect("no panic").expect("an identity");
            }
        });
        let key =
            KeyPair::from_pem(&String::from_utf8(fixture.content(KEY_FILE)).expect("text")).expect("key");
        let (_, pem) = x509_parser::pem::parse_x509_pem(&fixture.content(CERTIFICATE_FILE)).expect("PEM");
        let certificate = pem.parse_x509().expect("X.509");
        assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    }

    #[test]
    fn a_key_alone_gets_a_certificate_of_its_own() {
        let fixture = fixture();
        fixture.store.load_or_create().expect("created");
        let key = fixture.content(KEY_FILE);
        fs::remove_file(fixture.path(CERTIFICATE_FILE)).expect("removed");
        assert!(fixture.store.existing().expect("no fault").is_none());
        fixture.store.load_or_create().expect("completed");
        assert_eq!(fixture.content(KEY_FILE), key);
    }

    #[test]
    fn a_certificate_alone_is_replaced_with_a_new_pair() {
        let fixture = fixture();
        fixture.store.load_or_create().expect("created");
        let certificate = fixture.content(CERTIFICATE_FILE);
        fs::remove_file(fixture.path(KEY_FILE)).expect("removed");
        fixture.store.load_or_create().expect("created again");
        assert_ne!(fixture.content(CERTIFICATE_FILE), certificate);
    }

    #[test]
    fn files_that_are_no_identity_are_named_and_left_alone() {
        let (one, other) = (fixture(), fixture());
        one.store.load_or_create().expect("created");
        other.store.load_or_create().expect("created");
        let mismatched = one.content(CERTIFICATE_FILE);
        for certificate in [mismatched.as_slice(), b"", b"garbage"] {
            fs::write(other.path(CERTIFICATE_FILE), certificate).expect("written");
            let key = other.content(KEY_FILE);
            let fault = other.store.load_or_create().expect_err("no identity");
            let text = fault.to_string();
            assert!(text.contains(CERTIFICATE_FILE) && text.contains(KEY_FILE), "{text}");
            assert_eq!(other.content(CERTIFICATE_FILE), certificate);
            assert_eq!(other.content(KEY_FILE), key);
        }
        fs::remove_file(other.path(CERTIFICATE_FILE)).expect("removed");
        fs::write(other.path(KEY_FILE), "garbage").expect("written");
        let fault = other.store.load_or_create().expect_err("no identity");
        assert!(matches!(fault, IdentityFault::KeyUnusable { .. }), "{fault}");
        assert_eq!(other.content(KEY_FILE), b"garbage");
    }

    #[cfg(unix)]
    #[test]
    fn an_open_key_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let fixture = fixture();
        fixture.store.load_or_create().expect("created");
        let key = fixture.path(KEY_FILE);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o744)).expect("opened");
        fixture.store.load_or_create().expect("loaded");
        assert_eq!(mode(&key), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn where_another_user_decides_nothing_is_made_or_changed() {
        use std::os::unix::fs::PermissionsExt;
        let mut fixture = fixture();
        fixture.store.own = false;
        let fault = fixture.store.load_or_create().expect_err("none is made");
        assert!(matches!(fault, IdentityFault::NotOwn(_)), "{fault}");
        assert!(!fixture.store.directory.exists());

        fixture.store.own = true;
        fixture.store.load_or_create().expect("created");
        fixture.store.own = false;
        fs::set_permissions(fixture.path(KEY_FILE), fs::Permissions::from_mode(0o644)).expect("opened");
        fixture.store.load_or_create().expect("what is there is read");
        assert_eq!(mode(&fixture.path(KEY_FILE)), 0o644);
    }

    #[test]
    fn a_held_lock_is_told_by_name() {
        let fixture = fixture();
        files::create_directory(&fixture.store.directory).expect("created");
        let held = fixture.store.lock().expect("locked");
        let second = platform::open_lock_file(&fixture.path(LOCK_FILE)).expect("opened");
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        second.try_lock().expect("free again");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let store = IdentityStore { directory: file.path().join("below"), own: true, tightens: true };
        let fault = store.load_or_create().expect_err("no directory");
        assert!(fault.to_string().contains("below"), "{fault}");
    }
}
