//! Clients that may only read: what they may, where they are kept, and how they become others.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use auth_core::testkit::NoAudit;
use auth_core::{
    Actor, Administrator, Caller, Change, ChangeError, ClientCertificate, ClientName, Condition, Denied,
    FileStore, Level, Notice, Outcome, Recovery, StoreError, TrustStore,
};
use durable::FileError;

use crate::support::{
    Bench, Data, KINDS, Past, RULE, Unrecorded, authenticate, by_passphrase, certificate, enrol, local, now,
    passphrase, root, stranger,
};

fn by_root(bench: &Bench) -> Administrator {
    let nobody = Caller { channel: local(0, 0, &[]), certificate: None };
    bench.authority.administrator(&nobody).unwrap()
}

fn level(store: &dyn TrustStore, client: &ClientCertificate) -> Option<Level> {
    store.level(&client.fingerprint())
}

/// Whom the stock service trusts, with everything: whoever is in the trust file.
fn stock_trusts(data: &Data, client: &ClientCertificate) -> bool {
    String::from_utf8_lossy(&data.text()).contains(client.to_pem().trim_end())
}

fn read_only_file(data: &Data) -> std::path::PathBuf {
    data.directory().join("read-only-clients.pem")
}

#[test]
fn who_may_only_read_is_recognised_and_is_no_administrator() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        bench.store.add_read_only(&bob).unwrap();
        let full = bench.authority.recognise(&stranger(&alice)).unwrap();
        let limited = bench.authority.recognise(&stranger(&bob)).unwrap();
        assert_eq!((full.level(), limited.level()), (Level::Full, Level::ReadOnly), "{kind:?}");
        assert!(full.require(Level::Full).is_ok() && limited.require(Level::ReadOnly).is_ok());
        assert!(matches!(limited.require(Level::Full), Err(Denied::ReadOnly)), "{kind:?}");
        assert!(matches!(limited.administrator(), Err(Denied::ReadOnly)), "{kind:?}");
        let asked = bench.authority.administrator(&stranger(&bob));
        assert!(matches!(asked, Err(Denied::ReadOnly)), "{kind:?}");
        // Root is root, whatever certificate it shows.
        let by = bench.authority.administrator(&root(&bob)).unwrap();
        assert_eq!(by.actor(), Actor::Administrator, "{kind:?}");
    }
}

#[test]
fn a_level_is_changed_by_administrators_alone_and_adding_changes_none() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        let by = bench.authority.administrator(&stranger(&alice)).unwrap();
        let (a, b) = (alice.fingerprint(), bob.fingerprint());
        let missing = bench.authority.set_level(&by, b, Level::Full, now());
        assert!(matches!(missing, Err(ChangeError::NotTrusted)), "{kind:?}: {missing:?}");
        bench.authority.add(&by, &bob, Level::ReadOnly, None, now()).unwrap();
        bench.authority.add(&by, &bob, Level::ReadOnly, None, now()).unwrap();
        let other = bench.authority.add(&by, &bob, Level::Full, None, now());
        assert!(matches!(other, Err(ChangeError::AtOtherLevel(Level::ReadOnly))), "{kind:?}: {other:?}");
        let other = bench.authority.add(&by, &alice, Level::ReadOnly, None, now());
        assert!(matches!(other, Err(ChangeError::AtOtherLevel(Level::Full))), "{kind:?}: {other:?}");
        assert_eq!(
            (level(&bench.store, &alice), level(&bench.store, &bob)),
            (Some(Level::Full), Some(Level::ReadOnly))
        );

        bench.authority.set_level(&by, b, Level::Full, now()).unwrap();
        assert_eq!(level(&bench.store, &bob), Some(Level::Full), "{kind:?}");
        // Its own too; and from then on what is under way is refused.
        bench.authority.set_level(&by, a, Level::ReadOnly, now()).unwrap();
        let refused = |result: Result<(), ChangeError>| {
            assert!(matches!(result, Err(ChangeError::ReadOnlyByNow)), "{kind:?}: {result:?}");
        };
        let name: ClientName = "alice".parse().unwrap();
        refused(bench.authority.set_level(&by, a, Level::Full, now()));
        refused(bench.authority.add(&by, &certificate("accomplice"), Level::ReadOnly, None, now()).map(drop));
        refused(bench.authority.revoke(&by, b, now()));
        refused(bench.authority.rename(&by, a, &name, now()));
        refused(bench.authority.set_passphrase(&by, None, now()));
        let added = ["read_only_client_added", "stored", "opened"];
        let changed = ["client_made_full", "client_made_read_only"];
        assert_eq!(bench.events(), [added.as_slice(), &added, &changed].concat(), "{kind:?}");
    }
}

#[test]
fn the_passphrase_makes_a_read_only_client_full_and_its_guesses_count_as_a_strangers() {
    let (alice, bob, carol) = (certificate("alice"), certificate("bob"), certificate("carol"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        by_passphrase(&bench.store);
        bench.store.add_read_only(&bob).unwrap();
        let guess = |client| {
            bench.authority.begin_guess(&stranger(client), passphrase("open sesame"), Instant::now())
        };
        assert!(guess(&alice).unwrap().is_a_full_clients() && !guess(&bob).unwrap().is_a_full_clients());
        let client = authenticate(&bench.authority, &stranger(&bob), "open sesame").unwrap();
        assert_eq!((client.level(), level(&bench.store, &bob)), (Level::Full, Some(Level::Full)), "{kind:?}");

        bench.store.add_read_only(&carol).unwrap();
        let mut wrong = 0;
        let wait = loop {
            match authenticate(&bench.authority, &stranger(&carol), "shut sesame") {
                Err(Denied::WrongPassphrase) => wrong += 1,
                other => break other,
            }
            assert!(wrong < 50, "{kind:?}: never slowed down");
        };
        assert!(matches!(wait, Err(Denied::TooManyGuesses { .. })), "{kind:?}: {wait:?}");
        assert_eq!(level(&bench.store, &carol), Some(Level::ReadOnly), "{kind:?}");
        // One of the full level is not.
        for _ in 0..=wrong {
            let refused = authenticate(&bench.authority, &stranger(&alice), "shut sesame");
            assert!(matches!(refused, Err(Denied::WrongPassphrase)), "{kind:?}: {refused:?}");
        }
    }
}

#[test]
fn a_client_of_any_level_gives_up_its_own_trust_and_no_other() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        bench.store.add_read_only(&bob).unwrap();
        bench.events();
        for client in [&bob, &alice] {
            let proof = bench.authority.recognise(&stranger(client)).unwrap();
            bench.authority.leave(&proof, now()).unwrap();
            assert_eq!(level(&bench.store, client), None, "{kind:?}");
            let again = bench.authority.leave(&proof, now());
            assert!(matches!(again, Err(ChangeError::NoLongerTrusted)), "{kind:?}: {again:?}");
        }
        assert_eq!(bench.events(), ["client_revoked"; 2], "{kind:?}");
        assert!(bench.store.is_empty() && !bench.store.is_armed(), "{kind:?}: nobody is first for that");
        // At the store, where the condition is checked: a read-only client revokes nobody else.
        bench.authority.add(&by_root(&bench), &alice, Level::Full, None, now()).unwrap();
        bench.store.add_read_only(&bob).unwrap();
        let by = Actor::Client(bob.fingerprint());
        let other = Change::Revoke { client: alice.fingerprint(), by, at: now() };
        assert_eq!(bench.store.make(&other).unwrap(), Outcome::ConditionFailed, "{kind:?}");
    }
}

#[test]
fn the_owner_of_the_files_makes_a_client_full_whatever_it_was() {
    let alice = certificate("alice");
    let data = Data::new();
    let store = data.open();
    store.add_read_only(&alice).unwrap();
    let recovery = Recovery { store: &store, audit: &NoAudit };
    assert!(!recovery.await_first(now()).unwrap(), "somebody is trusted");
    recovery.add(&alice, now()).unwrap();
    assert_eq!(level(&data.open(), &alice), Some(Level::Full));
}

#[test]
fn what_is_written_of_a_client_moves_with_it() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(format!("# by hand\n{}", a.to_pem()));
    let store = data.open();
    enrol(&store, &Condition::WantedBy(Actor::Administrator), &b);
    let rename = |client: &ClientCertificate, name: &str| {
        let (client, name, by) = (client.fingerprint(), &name.parse().unwrap(), Actor::Administrator);
        assert_eq!(store.make(&Change::Rename { client, name, by, at: now() }).unwrap(), Outcome::Changed);
    };
    let known = |client: &ClientCertificate| {
        let mut known = store.clients().unwrap();
        known.retain(|known| known.fingerprint == client.fingerprint());
        let [known] = known.try_into().expect("once");
        (known.level, known.name, known.how, known.added)
    };
    rename(&b, "bob");
    rename(&a, "alice");
    rename(&b, "bobby");
    let how = (Some("added".to_owned()), Some("2023-11-14T22:13:20Z".to_owned()));
    let bobby = Some("bobby".to_owned());
    assert_eq!(known(&a), (Level::Full, Some("alice".into()), None, None), "by hand");
    assert_eq!(known(&b), (Level::Full, bobby.clone(), how.0.clone(), how.1.clone()));
    for (change, expected) in [(Level::ReadOnly, 1), (Level::ReadOnly, 1), (Level::Full, 2)] {
        store.set_level(&b, change).unwrap();
        assert_eq!(known(&b), (change, bobby.clone(), how.0.clone(), how.1.clone()));
        assert_eq!(data.blocks(), expected, "in the trust file");
    }
    store.set_level(&b, Level::ReadOnly).unwrap();
    rename(&b, "robert");
    assert_eq!(known(&b).1.as_deref(), Some("robert"), "in the other file");
    // Who knows the passphrase keeps his name.
    enrol(&store, &by_passphrase(&store), &b);
    assert_eq!(known(&b), (Level::Full, Some("robert".into()), Some("passphrase".into()), how.1));
    let text = String::from_utf8(data.text()).unwrap();
    assert!(text.starts_with("# by hand\n# multipass-client: name=alice\n-----BEGIN"), "{text}");
    let nobody = Change::Rename {
        client: certificate("c").fingerprint(),
        name: &"c".parse().unwrap(),
        by: Actor::Administrator,
        at: now(),
    };
    assert_eq!(store.make(&nobody).unwrap(), Outcome::ConditionFailed);
}

/// The stock service honours the trust file and knows of no other.
#[test]
fn no_client_that_may_only_read_is_one_for_the_stock_service() {
    let [a, b, c] = ["a", "b", "c"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let store = data.open();
    store.add_read_only(&b).unwrap();
    enrol(&store, &Condition::WantedBy(Actor::Administrator), &c);
    store.set_level(&c, Level::ReadOnly).unwrap();
    assert_eq!([&a, &b, &c].map(|client| stock_trusts(&data, client)), [true, false, false]);
    let levels = [Some(Level::Full), Some(Level::ReadOnly), Some(Level::ReadOnly)];
    for store in [&store, &data.open()] {
        assert_eq!([&a, &b, &c].map(|client| level(store, client)), levels);
    }
    // Also if it was put back there, by a crash between two writes or by hand: the lower level holds.
    fs::write(data.clients(), [&a, &b, &c].map(|client| client.to_pem()).concat()).unwrap();
    store.reload().unwrap();
    assert_eq!([&a, &b, &c].map(|client| level(&store, client)), levels);
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notices);
    let again = FileStore::open(&data.path(), now(), move |notice| sink.lock().unwrap().push(notice.clone()));
    assert_eq!([&a, &b, &c].map(|client| level(again.as_ref().unwrap(), client)), levels);
    assert_eq!([&a, &b, &c].map(|client| stock_trusts(&data, client)), [true, false, false], "after a start");
    let notices = notices.lock().unwrap();
    assert!(
        [&b, &c].iter().all(|client| notices.contains(&Notice::ReadOnlyInFile(client.fingerprint()))),
        "{notices:?}"
    );
}

#[test]
fn who_was_revoked_is_in_neither_file_and_stays_out_if_put_back_into_either() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let store = data.open();
    store.add_read_only(&b).unwrap();
    let before = fs::read(read_only_file(&data)).unwrap();
    store.revoke(&b).unwrap();
    assert_eq!(level(&store, &b), None);
    assert!(!String::from_utf8_lossy(&fs::read(read_only_file(&data)).unwrap()).contains("BEGIN"));
    fs::write(read_only_file(&data), before).unwrap();
    store.reload().unwrap();
    assert_eq!((level(&store, &b), level(&data.open(), &b)), (None, None));
    // A revocation that stopped half-way can be finished there too.
    assert_eq!(store.revoke(&b).unwrap(), Outcome::Changed);
    assert_eq!(store.revoke(&b).unwrap(), Outcome::ConditionFailed);
}

#[test]
fn a_store_with_none_but_read_only_clients_awaits_nobody() {
    let a = certificate("a");
    let data = Data::new();
    data.open().add_read_only(&a).unwrap();
    for (spoil, is_trusted) in [(false, true), (true, false)] {
        if spoil {
            let whole = fs::read(read_only_file(&data)).unwrap();
            fs::write(read_only_file(&data), &whole[..whole.len() / 2]).unwrap();
        }
        fs::remove_file(data.directory().join("enrolled-once")).unwrap();
        let (store, damage) = data.try_open().unwrap();
        assert_eq!((level(&store, &a).is_some(), damage.len()), (is_trusted, usize::from(spoil)));
        assert!(!store.is_armed() && !data.open().is_armed(), "spoilt: {spoil}");
    }
    let kept = fs::read_dir(data.directory())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(kept.filter(|name| name.starts_with("read-only-clients.pem.damaged-")).count(), 1);
}

#[test]
fn a_file_of_read_only_clients_that_cannot_be_read_is_an_error_and_never_empty() {
    let a = certificate("a");
    let data = Data::with_clients(a.to_pem());
    fs::create_dir(read_only_file(&data)).unwrap();
    let error = data.try_open().unwrap_err();
    assert!(
        matches!(&error, StoreError::File(FileError::Read { path, .. }) if *path == read_only_file(&data)),
        "{error:?}"
    );
}

#[test]
fn whoever_loses_trust_or_a_level_is_told_of() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(format!("{}{}", a.to_pem(), b.to_pem()));
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notices);
    let store = FileStore::open(&data.path(), now(), move |notice| sink.lock().unwrap().push(notice.clone()))
        .unwrap();
    let told = || std::mem::take(&mut *notices.lock().unwrap());
    store.set_level(&a, Level::ReadOnly).unwrap();
    assert_eq!(told(), [Notice::TrustChanged { gone: vec![], reduced: vec![a.fingerprint()] }]);
    store.set_level(&a, Level::Full).unwrap();
    assert_eq!(told(), [Notice::TrustChanged { gone: vec![], reduced: vec![] }]);
    // Behind the store's back: by another process, or a person who moves the block.
    fs::write(read_only_file(&data), a.to_pem()).unwrap();
    assert!(store.is_stale());
    fs::write(data.clients(), b.to_pem()).unwrap();
    store.reload().unwrap();
    assert_eq!(told(), [Notice::TrustChanged { gone: vec![], reduced: vec![a.fingerprint()] }]);
    assert!(!store.is_stale());
}
