//! Files that somebody else writes at the worst of moments: while the store reads or changes them. It is noticed
//! and never overwritten.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use auth_core::{
    Actor, Change, ClientCertificate, Condition, Enrolment, FileStore, Level, Notice, Outcome,
    PassphraseHash, StoreError, TrustStore,
};
use durable::FileError;

use crate::support::{Data, Unrecorded, by_passphrase, certificate, enrol, now, passphrase};

/// As `cat client.pem >> trust file` does.
fn append(data: &Data, client: &ClientCertificate) {
    append_text(&data.clients(), &client.to_pem());
}

fn append_text(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn added(certificate: &ClientCertificate) -> Change<'_> {
    let condition = Condition::WantedBy(Actor::Administrator);
    let level = Level::Full;
    Change::Enrol(Enrolment { condition, certificate, level, channel: None, name: None, at: now() })
}

fn revoked(client: &ClientCertificate) -> Change<'_> {
    Change::Revoke { client: client.fingerprint(), by: Actor::Administrator, at: now() }
}

fn no_passphrase<'a>() -> Change<'a> {
    Change::SetPassphrase { passphrase: None, by: Actor::Administrator }
}

/// Makes a change; `meanwhile` happens after the files were read, and before any is written.
fn change(store: &FileStore, change: &Change<'_>, meanwhile: impl Fn()) -> Result<Outcome, StoreError> {
    store.change(change, &mut || {
        meanwhile();
        Ok(())
    })
}

#[test]
fn what_the_store_writes_itself_need_not_be_read_again() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::new();
    let store = data.open();
    let quiet = |what: &str| assert!(!store.is_stale(), "{what}");
    quiet("a start");
    enrol(&store, &Condition::FirstClient, &a);
    quiet("the first client, whose marker is renamed");
    enrol(&store, &by_passphrase(&store), &b);
    quiet("a passphrase, and a client");
    store.revoke(&b).unwrap();
    quiet("a revocation");
    store.make(&added(&b)).unwrap();
    quiet("a revoked client that is added");
    for client in [&a, &b] {
        store.revoke(client).unwrap();
    }
    store.make(&Change::AwaitFirst).unwrap();
    quiet("the first client awaited again");
    store.set_passphrase(None).unwrap();
    quiet("no passphrase");
    store.reload().unwrap();
    quiet("a reload");
}

/// Whoever edits the file is told of a slip, and may mend it; nothing is moved from under an editor.
#[test]
fn damage_that_a_reload_finds_is_told_and_left_in_place() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let store = FileStore::open(&data.path(), now(), move |notice| sink.lock().unwrap().push(notice.clone()))
        .unwrap();
    let slip = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    append_text(&data.clients(), slip);
    append(&data, &b);
    store.reload().unwrap();
    assert!(store.contains(&a.fingerprint()) && store.contains(&b.fingerprint()));
    let found = Notice::DamageFound { file: data.clients(), parts: 1 };
    assert!(told.lock().unwrap().contains(&found), "{told:?}");
    assert_eq!(data.set_aside(), [b""; 0]);

    store.revoke(&b).unwrap();
    assert_eq!(data.set_aside(), [slip.trim_end().as_bytes()]);
}

#[test]
fn what_is_written_while_the_store_makes_another_change_is_noticed() {
    let [a, b, late] = ["a", "b", "late"].map(certificate);
    let words = PassphraseHash::of(&passphrase("new words")).unwrap();
    let elsewhere = Data::new();
    elsewhere.open().set_passphrase(Some(words.clone())).unwrap();
    let stored = fs::read(elsewhere.passphrase()).unwrap();
    let write_words = |data: &Data| fs::write(data.passphrase(), &stored).unwrap();
    let data = || {
        let data = Data::new();
        for client in [&a, &b] {
            enrol(&data.open(), &Condition::WantedBy(Actor::Administrator), client);
        }
        data
    };
    for (what, its_change) in
        [("a client is added", added(&certificate("c"))), ("a client is revoked", revoked(&b))]
    {
        let data = data();
        let store = data.open();
        assert_eq!(change(&store, &its_change, || write_words(&data)).unwrap(), Outcome::Changed, "{what}");
        assert!(store.passphrase().is_none() && store.is_stale(), "{what}");
        store.reload().unwrap();
        assert!(store.passphrase() == Some(words.clone()) && !store.is_stale(), "{what}");
    }
    let data = data();
    let store = data.open();
    change(&store, &no_passphrase(), || append(&data, &late)).unwrap();
    assert!(!store.contains(&late.fingerprint()) && store.is_stale());
    store.reload().unwrap();
    assert!(store.contains(&late.fingerprint()) && !store.is_stale());
}

#[test]
fn what_is_written_while_the_store_reads_is_noticed() {
    let [a, b, late] = ["a", "b", "late"].map(certificate);
    let data = Data::new();
    let first = data.open();
    for client in [&a, &b] {
        enrol(&first, &Condition::WantedBy(Actor::Administrator), client);
    }
    first.revoke(&b).unwrap();
    append(&data, &b);
    // That the revoked one is there again is told when the file has been read.
    let (writes, place, text) = (Arc::new(AtomicBool::new(false)), data.clients(), late.to_pem());
    let now_it_writes = Arc::clone(&writes);
    let store = FileStore::open(&data.path(), now(), move |notice| {
        if matches!(notice, Notice::RevokedInFile(_)) && now_it_writes.swap(false, Ordering::SeqCst) {
            append_text(&place, &text);
        }
    })
    .unwrap();
    assert!(!store.is_stale());

    writes.store(true, Ordering::SeqCst);
    store.reload().unwrap();
    assert!(!store.contains(&late.fingerprint()) && store.is_stale(), "it was written behind the reading");
    store.reload().unwrap();
    assert!(store.contains(&late.fingerprint()) && !store.is_stale());
}

#[test]
fn what_is_written_by_hand_is_not_overwritten() {
    let [a, b, late] = ["a", "b", "late"].map(certificate);
    for (what, its_change) in
        [("a client is added", added(&certificate("c"))), ("a client is revoked", revoked(&b))]
    {
        let data = Data::new();
        let store = data.open();
        for client in [&a, &b] {
            enrol(&store, &Condition::WantedBy(Actor::Administrator), client);
        }
        let error = change(&store, &its_change, || append(&data, &late)).unwrap_err();
        assert!(
            matches!(&error, StoreError::File(FileError::Write { path, source })
                if *path == data.clients() && source.to_string().contains("try again")),
            "{what}: {error:?}"
        );
        // It is known already, and what failed can be done.
        assert!(store.contains(&late.fingerprint()) && !store.is_stale(), "{what}");
        assert_eq!(change(&store, &its_change, || {}).unwrap(), Outcome::Changed, "{what}");
        assert!([&a, &late].iter().all(|client| data.open().contains(&client.fingerprint())), "{what}");
    }
}
