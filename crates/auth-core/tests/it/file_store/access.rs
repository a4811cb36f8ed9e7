//! Whose the files are, and who waits for whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auth_core::{Condition, StoreError, TrustStore};
use durable::FileError;
use test_process::{alone, is_root};

use super::torn;
use crate::support::{Data, by_passphrase, certificate, enrol, now};

#[test]
fn all_files_are_the_owners_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    use nix::sys::stat::{Mode, umask};

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    alone(concat!(module_path!(), "::all_files_are_the_owners_alone_whatever_the_umask"), || {
        let [a, b] = ["a", "b"].map(certificate);
        for mask in [0o000, 0o022, 0o077] {
            umask(Mode::from_bits_truncate(mask));
            let data = Data::new();
            let check = |expected: &[&str]| {
                assert_eq!(mode(data.directory()), 0o700, "umask {mask:03o}");
                assert_eq!(mode(data.path().join("lock")), 0o600, "umask {mask:03o}, the lock");
                assert_eq!(data.names(), expected);
                for name in expected {
                    assert_eq!(mode(data.directory().join(name)), 0o600, "umask {mask:03o}, {name}");
                }
            };
            let store = data.open();
            check(&["first-client-awaited"]);
            enrol(&store, &Condition::FirstClient, &a);
            by_passphrase(&store);
            check(&["enrolled-once", "multipass_client_certs.pem", "passphrase.phc"]);

            // A directory that a person made is the owner's alone from the first start on.
            let by_hand = Data::with_clients(a.to_pem());
            by_hand.open();
            assert_eq!(mode(by_hand.directory()), 0o700, "umask {mask:03o}, made by hand");

            // A file that a person wrote is the owner's alone once the store has written to it.
            fs::remove_file(data.clients()).unwrap();
            fs::write(data.clients(), format!("{}{}", a.to_pem(), torn(&b))).unwrap();
            fs::set_permissions(data.clients(), fs::Permissions::from_mode(0o666)).unwrap();
            let later = now() + Duration::from_nanos(1);
            data.try_open_at(later).unwrap();
            check(&[
                "enrolled-once",
                "multipass_client_certs.pem",
                "multipass_client_certs.pem.damaged-1700000000000000001",
                "passphrase.phc",
            ]);
        }
    });
}

/// Linux tells who waits for a lock, so that this test need not guess how long to look.
#[cfg(target_os = "linux")]
#[test]
fn changes_wait_for_whoever_holds_the_lock_and_readers_do_not() {
    use std::os::unix::fs::MetadataExt;
    use std::time::Instant;

    let data = Data::new();
    let store = data.open();
    let inode = format!(":{} ", fs::metadata(data.path().join("lock")).unwrap().ino());
    let somebody_waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    };

    std::thread::scope(|scope| {
        let lock = fs::File::open(data.path().join("lock")).unwrap();
        lock.try_lock().expect("nobody holds it between changes");
        let change = scope.spawn(|| enrol(&store, &Condition::FirstClient, &certificate("a")));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !somebody_waits() {
            assert!(!change.is_finished() && Instant::now() < deadline, "the change did not wait");
            std::thread::yield_now();
        }
        assert!(store.is_armed() && store.is_empty() && store.passphrase().is_none());
        assert_eq!(data.names(), ["first-client-awaited"]);
        drop(lock);
    });
    assert!(!store.is_armed() && data.clients().exists());
}

/// Somebody makes the data directory before root first starts the daemon, and puts himself on the list.
#[test]
fn a_store_that_another_user_prepared_is_not_opened() {
    use std::fs::Permissions;
    use std::io::ErrorKind;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    /// Debian's `nobody`; any other does.
    const NOBODY: u32 = 65534;

    if !is_root("file_store: a store that another user prepared") {
        return;
    }
    let access = |path: &Path| {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode())
    };
    let data = Data::with_clients("# trust me\n");
    for path in [data.directory(), data.clients()] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(data.directory(), Permissions::from_mode(0o755)).unwrap();
    for (whose, directory) in [("the store's directory", NOBODY), ("the data directory", 0)] {
        chown(data.directory(), Some(directory), None).unwrap();
        chown(data.path(), Some(NOBODY - directory), None).unwrap();
        let before = (access(&data.directory()), data.names());
        let error = data.try_open().map(drop).unwrap_err();
        let StoreError::File(FileError::Write { path, source }) = error else { panic!("{whose}: {error:?}") };
        assert_eq!((path, source.kind()), (data.directory(), ErrorKind::PermissionDenied), "{whose}");
        assert!(source.to_string().contains("belongs to user 65534"), "{whose}: {source}");
        assert_eq!((access(&data.directory()), data.names()), before, "{whose}");
        assert!(!data.path().join("lock").exists(), "{whose}");
    }
    // It was that, and nothing else.
    chown(data.path(), Some(0), None).unwrap();
    data.open();
}
