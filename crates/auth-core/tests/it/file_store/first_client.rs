//! When the first client is awaited, and what ends that.

use std::fs;

use auth_core::{ClientCertificate, Condition, Outcome, PassphraseHash, TrustStore};

use super::{contents, garbled, torn};
use crate::support::{Arrival, Data, Unrecorded, by_passphrase, certificate, enrol, local, now, passphrase};

/// Whether the first client is awaited at each of two starts, after something was done to a directory.
#[test]
fn the_first_client_is_awaited_only_where_nobody_ever_was() {
    let a = certificate("a");
    let enrolled = || {
        let data = Data::new();
        enrol(&data.open(), &Condition::FirstClient, &a);
        data
    };
    let without_clients = |data: Data| {
        fs::remove_file(data.clients()).unwrap();
        data
    };
    let opened = |data: Data| {
        data.try_open().unwrap();
        data
    };
    let marked = |data: Data| {
        fs::create_dir_all(data.directory()).unwrap();
        fs::write(data.directory().join("enrolled-once"), "").unwrap();
        data
    };
    for (data, armed, why) in [
        (Data::new(), true, "nothing there"),
        (Data::with_clients(""), true, "an empty file"),
        (Data::with_clients("# clients go here\r\n\n"), true, "a file of words"),
        (opened(Data::new()), true, "started before, nobody came"),
        (Data::with_clients(a.to_pem()), false, "a client put there by an installer"),
        (enrolled(), false, "a first client"),
        (without_clients(enrolled()), false, "a first client, and the file deleted"),
        (without_clients(opened(Data::with_clients(a.to_pem()))), false, "an installer's client, deleted"),
        (marked(Data::new()), false, "the marker alone"),
        (marked(Data::with_clients("")), false, "the marker and an empty file"),
        (Data::with_clients(torn(&a)), false, "a torn block alone"),
        (Data::with_clients(garbled(&a)), false, "a garbled block alone"),
        (without_clients(opened(Data::with_clients(torn(&a)))), false, "a torn block, then deleted"),
    ] {
        for start in ["first", "second"] {
            let (store, _) = data.try_open().unwrap();
            assert_eq!(store.is_armed(), armed, "{why}, {start} start");
            let marker = data.directory().join("enrolled-once").exists();
            assert_eq!(marker, !armed, "{why}, {start} start: the marker");
        }
        // And the store keeps to what it says.
        let (store, _) = data.try_open().unwrap();
        let (client, channel) = (certificate("late"), local(0, 0, &[]));
        let enrolment = Arrival { certificate: &client, channel: &channel, at: now() };
        let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
        assert_eq!(outcome == Outcome::Changed, armed, "{why}");
        assert_eq!(store.contains(&client.fingerprint()), armed, "{why}");
        assert!(!store.is_armed(), "{why}");
    }
}

/// What is done to a store's directory under a running daemon.
type Interference = fn(&Data, &ClientCertificate);

#[test]
fn what_happened_on_disk_since_the_start_disarms() {
    let (a, late) = (certificate("a"), certificate("late"));
    let cases: [(&str, Interference, bool); 5] = [
        ("a client appended by hand", |data, a| fs::write(data.clients(), a.to_pem()).unwrap(), true),
        ("a torn block", |data, a| fs::write(data.clients(), torn(a)).unwrap(), false),
        ("the marker", |data, _| fs::write(data.directory().join("enrolled-once"), "").unwrap(), false),
        ("another daemon's first client", |data, a| enrol(&data.open(), &Condition::FirstClient, a), true),
        (
            "another daemon's first client, deleted",
            |data, a| {
                enrol(&data.open(), &Condition::FirstClient, a);
                fs::remove_file(data.clients()).unwrap();
            },
            false,
        ),
    ];
    for (why, interfere, a_is_trusted) in cases {
        let data = Data::new();
        let store = data.open();
        assert!(store.is_armed());
        interfere(&data, &a);
        let before = contents(&data);

        let enrolment = Arrival { certificate: &late, channel: &local(0, 0, &[]), at: now() };
        let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
        assert_eq!(outcome, Outcome::ConditionFailed, "{why}");
        assert_eq!(contents(&data), before, "{why}");
        // It has seen what is there now.
        assert!(!store.is_armed(), "{why}");
        assert_eq!(store.contains(&a.fingerprint()), a_is_trusted, "{why}");
        assert!(!store.contains(&late.fingerprint()), "{why}");
    }
}

#[test]
fn a_passphrase_changed_by_another_daemon_is_learned() {
    let (data, client) = (Data::new(), certificate("a"));
    let (one, other) = (data.open(), data.open());
    let old = by_passphrase(&one);
    let new = PassphraseHash::of(&passphrase("new words")).unwrap();
    other.set_passphrase(Some(new.clone())).unwrap();

    let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
    assert_eq!(one.enrol_if(&old, &enrolment).unwrap(), Outcome::ConditionFailed);
    assert!(one.passphrase() == Some(new.clone()));
    assert!(one.is_armed(), "a wrong passphrase does not disarm");
    assert_eq!(one.enrol_if(&Condition::PassphraseIs(new), &enrolment).unwrap(), Outcome::Changed);
}

#[test]
fn the_marker_is_renamed_by_the_first_enrolment() {
    let data = Data::new();
    let store = data.open();
    assert_eq!(data.names(), ["first-client-awaited"]);
    let awaited = contents(&data)["first-client-awaited"].clone();
    enrol(&store, &Condition::FirstClient, &certificate("a"));
    assert_eq!(data.names(), ["enrolled-once", "multipass_client_certs.pem"]);
    assert_eq!(contents(&data)["enrolled-once"], awaited, "renamed, which a full disk does not hinder");

    // A store that is found with clients is marked too.
    let data = Data::with_clients(certificate("a").to_pem());
    data.open();
    assert_eq!(data.names(), ["enrolled-once", "multipass_client_certs.pem"]);
}

#[test]
fn a_client_who_comes_by_passphrase_disarms_too() {
    let data = Data::new();
    let store = data.open();
    enrol(&store, &by_passphrase(&store), &certificate("a"));
    assert!(!store.is_armed());
    assert!(data.names().contains(&"enrolled-once".to_owned()));
}

/// As when the disk that holds it is not mounted. What has the marker's name is one, wherever it leads.
#[cfg(unix)]
#[test]
fn a_marker_that_leads_nowhere_disarms() {
    let client = certificate("a");
    let link = |data: &Data| {
        fs::create_dir_all(data.directory()).unwrap();
        let marker = data.directory().join("enrolled-once");
        std::os::unix::fs::symlink(data.path().join("unmounted"), &marker).unwrap();
    };
    // Before the first start, while the first client is awaited, and under a daemon that awaits it.
    for (moment, starts) in [("before the first start", 0), ("before the second start", 1)] {
        let data = Data::new();
        (0..starts).for_each(|_| assert!(data.open().is_armed()));
        link(&data);
        for _ in 0..2 {
            let store = data.open();
            assert!(!store.is_armed(), "{moment}");
            let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
            let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
            assert_eq!(outcome, Outcome::ConditionFailed, "{moment}");
        }
        assert!(!data.path().join("unmounted").exists(), "{moment}: it was followed");
    }
    let data = Data::new();
    let store = data.open();
    link(&data);
    let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
    let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
    assert_eq!(outcome, Outcome::ConditionFailed, "under a running daemon");
    assert!(!store.is_armed() && !store.contains(&client.fingerprint()));
    // The owner of the files can await the first client all the same.
    assert_eq!(store.make(&auth_core::Change::AwaitFirst).unwrap(), Outcome::Changed);
    assert!(data.open().is_armed());
}
