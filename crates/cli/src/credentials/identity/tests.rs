//! Identities that are there, are made, or cannot be used.

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
    let store = IdentityStore { directory, own: true, repairs_permissions: true };
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
    assert!(fixture.store.load().expect("no fault").is_none());
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
    assert_eq!(fs::read_dir(&fixture.store.directory).expect("readable").count(), 3, "nothing is left over");

    let before = (fixture.content(CERTIFICATE_FILE), fixture.content(KEY_FILE));
    fixture.store.load_or_create().expect("loaded");
    assert!(fixture.store.load().expect("loaded").is_some());
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
    // What the stock service's library takes: P-256 with SHA-256, the key in PKCS #8.
    assert_eq!(certificate.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2");
    let curve = certificate.public_key().algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    assert_eq!(curve.map(|curve| curve.to_id_string()).as_deref(), Some("1.2.840.10045.3.1.7"));
    assert!(fixture.content(KEY_FILE).starts_with(b"-----BEGIN PRIVATE KEY-----"));
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
    let key = KeyPair::from_pem(&String::from_utf8(fixture.content(KEY_FILE)).expect("text")).expect("key");
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
    assert!(fixture.store.load().expect("no fault").is_none());
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
    assert!(matches!(fault, IdentityStoreError::KeyUnusable { .. }), "{fault}");
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
    assert!(matches!(fault, IdentityStoreError::NotOwn(_)), "{fault}");
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
    let store = IdentityStore { directory: file.path().join("below"), own: true, repairs_permissions: true };
    let fault = store.load_or_create().expect_err("no directory");
    assert!(fault.to_string().contains("below"), "{fault}");
}
