//! A disk that fills up: nothing is lost.

use auth_core::{Condition, PassphraseHash, StoreError, TrustStore};
use durable::FileError;
use test_process::alone;

use super::contents;
use crate::support::{Arrival, Data, Unrecorded, by_passphrase, certificate, enrol, local, now, passphrase};

/// A disk that takes files of up to so many bytes, until it is dropped. Root is not above this limit.
struct FullDisk(u64);

impl FullDisk {
    /// Belongs to the whole process, so it is only for a test that has one of its own.
    fn beyond(bytes: u64) -> Self {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        use nix::sys::signal::{SigSet, Signal};

        // The write then fails with EFBIG, instead of the process being killed.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
        Self(hard)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        use nix::sys::resource::{Resource, setrlimit};

        setrlimit(Resource::RLIMIT_FSIZE, self.0, self.0).unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    alone(concat!(module_path!(), "::a_full_disk_loses_nothing"), || {
        let [a, b] = ["a", "b"].map(certificate);
        let channel = local(0, 0, &[]);
        let enrolment = |certificate| Arrival { certificate, channel: &channel, at: now() };
        let is_write = |error: &StoreError| matches!(error, StoreError::File(FileError::Write { .. }));
        let new = PassphraseHash::of(&passphrase("new words")).unwrap();

        // The first client, who comes again when there is room.
        let data = Data::new();
        let store = data.open();
        let before = contents(&data);
        let full = FullDisk::beyond(0);
        assert!(is_write(&store.enrol_if(&Condition::FirstClient, &enrolment(&a)).unwrap_err()));
        drop(full);
        assert_eq!(contents(&data), before);
        assert!(store.is_armed() && store.is_empty() && !store.contains(&a.fingerprint()));
        enrol(&store, &Condition::FirstClient, &a);

        // The second one, and a new passphrase; a daemon can be started all the same.
        let condition = by_passphrase(&store);
        let before = contents(&data);
        let full = FullDisk::beyond(100);
        assert!(is_write(&store.enrol_if(&condition, &enrolment(&b)).unwrap_err()));
        drop(full);
        let full = FullDisk::beyond(20);
        assert!(is_write(&store.set_passphrase(Some(new.clone())).unwrap_err()));
        assert!(data.open().contains(&a.fingerprint()));
        drop(full);
        assert_eq!(contents(&data), before);
        for store in [&store, &data.open()] {
            assert!(store.contains(&a.fingerprint()) && !store.contains(&b.fingerprint()));
            assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")));
        }
        store.set_passphrase(Some(new.clone())).unwrap();
        enrol(&store, &Condition::PassphraseIs(new), &b);
        assert!(data.open().contains(&b.fingerprint()));
    });
}

#[test]
fn a_disk_that_fills_up_while_damage_is_set_aside_arms_nothing() {
    alone(concat!(module_path!(), "::a_disk_that_fills_up_while_damage_is_set_aside_arms_nothing"), || {
        let damaged = "-----BEGIN CERTIFICATE-----\nMIIB";
        let whole = format!("# one\n{damaged}");
        // Room for nothing; for what is moved, but not for the marker.
        for room in [0, 10, damaged.len() as u64, whole.len() as u64 + 10] {
            let data = Data::with_clients(&whole);
            let full = FullDisk::beyond(room);
            let error = data.try_open().map(|_| ()).unwrap_err();
            assert!(matches!(error, StoreError::File(FileError::Write { .. })), "room for {room}: {error:?}");
            drop(full);
            for start in ["first", "second"] {
                let (store, _) = data.try_open().unwrap();
                assert!(store.is_empty() && !store.is_armed(), "room for {room}, {start} start");
                assert_eq!(data.text(), b"# one\n");
                assert_eq!(data.set_aside(), [damaged.as_bytes()], "room for {room}, {start} start");
            }
        }
    });
}
