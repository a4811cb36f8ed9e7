//! What cannot be read or written: an error, and nothing is lost.

use std::fs;
use std::path::PathBuf;

use auth_core::{Outcome, PassphraseHash, StoreError, TrustStore};
use durable::FileError;

use crate::support::{Arrival, Data, Unrecorded, by_passphrase, certificate, local, now, passphrase};

/// How a file of the store is spoilt; gives the path that the error must name.
type Spoil = fn(&Data) -> PathBuf;

#[test]
fn what_cannot_be_read_is_an_error_and_never_empty() {
    fn read(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::File(FileError::Read { path: named, .. }) if named == path)
    }
    fn write(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::File(FileError::Write { path: named, .. }) if named == path)
    }
    fn too_large(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::File(FileError::Read { path: named, source })
            if named == path && source.to_string() == "it has more than 268435456 bytes")
    }
    fn not_a_hash(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::NotAPassphraseHash { path: named } if named == path)
    }
    type Check = fn(&StoreError, &PathBuf) -> bool;
    let cases: [(&str, Spoil, Check); 9] = [
        ("a directory for the trust file", |data| directory(data.clients()), read),
        ("a directory for the passphrase", |data| directory(data.passphrase()), read),
        (
            "a file for the directory",
            |data| {
                fs::write(data.directory(), "").unwrap();
                data.directory()
            },
            write,
        ),
        ("a trust file beyond all measure", |data| resized(file(data.clients(), ""), 268_435_457), too_large),
        // Read, because it is not larger than that, and then found to be no hash.
        (
            "a passphrase file just within measure",
            |data| resized(file(data.passphrase(), ""), 268_435_456),
            not_a_hash,
        ),
        ("words for a passphrase hash", |data| file(data.passphrase(), "open sesame\n"), not_a_hash),
        ("bytes for a passphrase hash", |data| file(data.passphrase(), [0xff, 0xfe]), not_a_hash),
        ("a directory for the lock", |data| directory(data.path().join("lock")), write),
        (
            "no data directory",
            |data| {
                fs::remove_dir(data.path()).unwrap();
                data.directory()
            },
            write,
        ),
    ];
    for (why, spoil, is_expected) in cases {
        let data = Data::new();
        let path = spoil(&data);
        for attempt in ["first", "second"] {
            let error = data.try_open().map(|_| ()).unwrap_err();
            assert!(is_expected(&error, &path), "{why}, {attempt} attempt: {error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{why}: {error}");
        }
    }
}

fn directory(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    path
}

fn file(path: PathBuf, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn resized(path: PathBuf, bytes: u64) -> PathBuf {
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes).unwrap();
    path
}

/// As when the disk that holds the file is not mounted.
#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error_and_not_an_absent_file() {
    for file in ["multipass_client_certs.pem", "revoked", "passphrase.phc"] {
        let data = Data::with_clients("");
        let path = data.directory().join(file);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(data.path().join("unmounted").join(file), &path).unwrap();
        let error = data.try_open().map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, StoreError::File(FileError::Read { path: named, .. }) if *named == path),
            "{file}: {error:?}"
        );
        assert!(!data.names().contains(&"first-client-awaited".to_owned()), "{file}");

        // One that leads somewhere is followed.
        fs::create_dir(data.path().join("unmounted")).unwrap();
        fs::write(data.path().join("unmounted").join(file), "").unwrap();
        assert!(data.open().is_armed(), "{file}");
    }
}

#[test]
fn what_cannot_be_read_later_changes_nothing() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let store = data.open();
    let condition = by_passphrase(&store);
    let enrolment = Arrival { certificate: &b, channel: &local(0, 0, &[]), at: now() };

    for path in [data.clients(), data.passphrase()] {
        let aside = data.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let error = store.enrol_if(&condition, &enrolment).unwrap_err();
        assert!(
            matches!(&error, StoreError::File(FileError::Read { path: named, .. }) if *named == path),
            "{error:?}"
        );
        assert!(store.contains(&a.fingerprint()) && !store.contains(&b.fingerprint()), "{path:?}");
        assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")), "{path:?}");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(store.enrol_if(&condition, &enrolment).unwrap(), Outcome::Changed);
    assert!(store.contains(&b.fingerprint()) && data.open().contains(&b.fingerprint()));
}

#[test]
fn a_passphrase_that_cannot_be_written_leaves_the_old_one() {
    let data = Data::new();
    let store = data.open();
    by_passphrase(&store);
    let aside = data.path().join("aside");
    fs::rename(data.passphrase(), &aside).unwrap();
    fs::create_dir(data.passphrase()).unwrap();
    for new in [None, Some(PassphraseHash::of(&passphrase("new words")).unwrap())] {
        let error = store.set_passphrase(new).unwrap_err();
        assert!(
            matches!(&error, StoreError::File(FileError::Read { path, .. }) if *path == data.passphrase()),
            "{error:?}"
        );
        assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")));
    }
    fs::remove_dir(data.passphrase()).unwrap();
    fs::rename(&aside, data.passphrase()).unwrap();
    assert!(data.open().passphrase().unwrap().matches(&passphrase("open sesame")));
    store.set_passphrase(None).unwrap();
    assert!(data.open().passphrase().is_none());
}
