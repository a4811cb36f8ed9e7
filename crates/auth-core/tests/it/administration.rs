//! Who may say who is trusted, what they say, and what is written down of it.

use std::error::Error;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{
    Actor, Added, Administrator, Admission, Audit, Authority, Caller, Change, ChangeError, Channel,
    ClientName, Condition, Denied, Entry, Event, Fingerprint, Level, Outcome, PassphraseHash, Recovery,
    StoreError, TrustStore, TrustedClient,
};
use durable::FileError;

use crate::support::{
    Bench, DAEMON, Data, KINDS, Kind, Past, RULE, Unrecorded, ask, by_passphrase, certificate, enrol, local,
    now, passphrase, remote, root, stranger,
};

fn administrator(bench: &Bench, caller: &Caller) -> Administrator {
    bench.authority.administrator(caller).unwrap()
}

#[test]
fn trusted_clients_and_root_on_this_machine_may_say_who_is_trusted() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let at = |channel: Channel, certificate| Caller { channel, certificate };
    for past in [Past::Fresh, Past::Enrolled, Past::Emptied] {
        let bench = Bench::new(Kind::File, past, &alice, RULE);
        let is_trusted = matches!(past, Past::Enrolled);
        for (channel, is_root) in [
            (local(0, 0, &[]), true),
            (local(DAEMON, DAEMON, &[0]), false),
            (local(1000, 0, &[0, 27]), false),
            (remote("127.0.0.1"), false),
            (remote("192.0.2.7"), false),
        ] {
            for (certificate, client) in
                [(None, false), (Some(bob.clone()), false), (Some(alice.clone()), is_trusted)]
            {
                let fingerprint = certificate.as_ref().map(auth_core::ClientCertificate::fingerprint);
                let may = bench.authority.administrator(&at(channel.clone(), certificate));
                let who = may.map(|may| may.actor()).ok();
                let expected = match (client, is_root) {
                    (true, _) => fingerprint.map(Actor::Client),
                    (false, true) => Some(Actor::Administrator),
                    (false, false) => None,
                };
                assert_eq!(who, expected, "{past:?} {channel} {fingerprint:?}");
            }
        }
        // It opens that and nothing else: root without a certificate is no client.
        let nobody = at(local(0, 0, &[]), None);
        assert!(matches!(bench.authority.admit(&nobody), Err(Denied::NoCertificate)));
        assert_eq!(bench.events(), [""; 0], "{past:?}: asking changes nothing");
    }
}

#[test]
fn an_administrator_adds_clients() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        for past in [Past::Fresh, Past::Enrolled, Past::Emptied] {
            let bench = Bench::new(kind, past, &alice, RULE);
            let nobody = Caller { channel: local(0, 0, &[]), certificate: None };
            let by = administrator(&bench, &nobody);
            let name: ClientName = "bob".parse().unwrap();
            let other: ClientName = "robert".parse().unwrap();
            assert_eq!(bench.authority.add(&by, &bob, Level::Full, Some(&name), now()).unwrap(), Added::New);
            let again = bench.authority.add(&by, &bob, Level::Full, Some(&other), now()).unwrap();
            // The store in memory keeps no names.
            let called = matches!(kind, Kind::File).then(|| "bob".to_owned());
            assert_eq!(again, Added::Known(called), "{kind:?} {past:?}");
            assert!(bench.authority.recognise(&stranger(&bob)).is_ok(), "{kind:?} {past:?}");
            let once = ["client_added", "stored", "opened"];
            assert_eq!(bench.events(), [once, once].concat(), "{kind:?} {past:?}");
            // Nobody is the first client after that.
            let carol = certificate("carol");
            assert!(matches!(bench.authority.admit(&root(&carol)), Err(Denied::NotTrusted)), "{past:?}");

            let known = bench.authority.clients(&by).unwrap();
            let mut known: Vec<_> = known.iter().map(|client| client.fingerprint).collect();
            known.sort();
            let mut expected = vec![bob.fingerprint()];
            if matches!(past, Past::Enrolled) {
                expected.push(alice.fingerprint());
            }
            expected.sort();
            assert_eq!(known, expected, "{kind:?} {past:?}");
        }
    }
}

#[test]
fn a_revoked_client_is_out_until_it_is_enrolled_again() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        let by = administrator(&bench, &root(&certificate("root")));
        bench.authority.revoke(&by, alice.fingerprint(), now()).unwrap();
        assert!(matches!(bench.authority.admit(&root(&alice)), Err(Denied::NotTrusted)), "{kind:?}");
        assert!(bench.store.is_empty() && !bench.store.is_armed(), "{kind:?}");
        for client in [&alice, &bob] {
            let again = bench.authority.revoke(&by, client.fingerprint(), now());
            assert!(matches!(again, Err(ChangeError::NotTrusted)), "{kind:?}");
        }
        assert_eq!(bench.events(), ["client_revoked"], "{kind:?}: what did not happen is not recorded");

        bench.authority.add(&by, &alice, Level::Full, None, now()).unwrap();
        assert!(bench.authority.recognise(&stranger(&alice)).is_ok(), "{kind:?}");
        // By the passphrase too: its owner could come with another certificate as well.
        let condition = by_passphrase(&bench.store);
        bench.authority.revoke(&by, alice.fingerprint(), now()).unwrap();
        enrol(&bench.store, &condition, &alice);
        assert!(bench.authority.recognise(&stranger(&alice)).is_ok(), "{kind:?}");
    }
}

#[test]
fn a_client_may_revoke_itself() {
    let alice = certificate("alice");
    let bench = Bench::new(Kind::File, Past::Enrolled, &alice, RULE);
    let by = administrator(&bench, &stranger(&alice));
    bench.authority.revoke(&by, alice.fingerprint(), now()).unwrap();
    assert!(bench.authority.administrator(&stranger(&alice)).is_err());
}

/// An entry, with the channel as it is displayed.
type Line = (Event, Actor, Option<String>, Option<Fingerprint>);

/// What is written down, in full.
#[derive(Debug, Default)]
struct Protocol(Mutex<Vec<Line>>);

impl Audit for Protocol {
    fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        assert_eq!(entry.at, now());
        let from = entry.from.map(Channel::to_string);
        self.0.lock().unwrap().push((entry.event, entry.by, from, entry.client));
        Ok(())
    }
}

#[test]
fn each_grant_and_change_is_recorded_with_who_from_where_and_about_whom() {
    let (alice, bob, carol) = (certificate("alice"), certificate("bob"), certificate("carol"));
    let [a, b, c] = [&alice, &bob, &carol].map(|client| client.fingerprint());
    let protocol = Arc::new(Protocol::default());
    let store = Arc::new(MemoryStore::new());
    let authority = Authority::new(store.clone(), Box::new(NoGate), RULE, Arc::<Protocol>::clone(&protocol));
    let Ok(Admission::FirstClient(claim)) = authority.admit(&root(&alice)) else { panic!("not awaited") };
    authority.enrol_first(&claim, now()).unwrap();
    let by = authority.administrator(&stranger(&alice)).unwrap();
    authority.set_passphrase(&by, Some(&passphrase("open sesame")), now()).unwrap();
    let guess = authority.begin_guess(&stranger(&bob), passphrase("open sesame"), std::time::Instant::now());
    authority.authenticate(guess.unwrap(), now()).unwrap();
    authority.set_passphrase(&by, None, now()).unwrap();
    let by = authority.administrator(&root(&carol)).unwrap();
    authority.add(&by, &carol, Level::Full, None, now()).unwrap();
    authority.revoke(&by, b, now()).unwrap();
    let recovery = Recovery { store: &*store, audit: &*protocol };
    recovery.add(&bob, now()).unwrap();
    assert!(!recovery.await_first(now()).unwrap(), "there are clients");

    let (there, here) = (|| Some("address:192.0.2.7".to_owned()), || Some("uid:0".to_owned()));
    let expected = [
        (Event::FirstClientEnrolled, Actor::Client(a), here(), Some(a)),
        (Event::PassphraseSet, Actor::Client(a), there(), None),
        (Event::PassphraseAccepted, Actor::Client(b), there(), Some(b)),
        (Event::PassphraseRemoved, Actor::Client(a), there(), None),
        (Event::ClientAdded, Actor::Administrator, here(), Some(c)),
        (Event::ClientRevoked, Actor::Administrator, here(), Some(b)),
        (Event::ClientAdded, Actor::Administrator, None, Some(b)),
    ];
    assert_eq!(*protocol.0.lock().unwrap(), expected);
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Fresh, &alice, RULE);
        by_passphrase(&bench.store);
        let by = administrator(&bench, &root(&bob));
        let Ok(Admission::FirstClient(claim)) = bench.authority.admit(&root(&alice)) else { panic!() };
        bench.audit.fails.store(true, Ordering::SeqCst);

        let first = bench.authority.enrol_first(&claim, now()).unwrap_err();
        assert!(matches!(&first, Denied::Store(StoreError::NotRecorded(_))), "{first:?}");
        assert!(first.to_string().contains("audit log"), "{first}");
        assert!(first.source().unwrap().to_string().contains("the audit log is full"), "{first:?}");
        let guess = bench.authority.begin_guess(
            &stranger(&bob),
            passphrase("open sesame"),
            std::time::Instant::now(),
        );
        let guessed = bench.authority.authenticate(guess.unwrap(), now());
        assert!(matches!(guessed, Err(Denied::Store(StoreError::NotRecorded(_)))), "{guessed:?}");
        let not_done = |result: Result<(), ChangeError>| {
            assert!(matches!(&result, Err(ChangeError::Store(StoreError::NotRecorded(_)))), "{result:?}");
        };
        not_done(bench.authority.add(&by, &bob, Level::Full, None, now()).map(drop));
        not_done(bench.authority.set_passphrase(&by, None, now()));
        assert_eq!(bench.events(), [""; 0], "{kind:?}");
        assert!(bench.store.is_empty() && bench.store.is_armed() && bench.store.passphrase().is_some());

        bench.audit.fails.store(false, Ordering::SeqCst);
        bench.authority.enrol_first(&claim, now()).unwrap();
        bench.audit.fails.store(true, Ordering::SeqCst);
        not_done(bench.authority.revoke(&by, alice.fingerprint(), now()));
        assert!(bench.authority.recognise(&root(&alice)).is_ok(), "{kind:?}");
    }
}

/// Fails once the change has been recorded.
#[derive(Debug)]
struct FailsLate(MemoryStore);

impl TrustStore for FailsLate {
    ask!(0: level is_empty is_armed passphrase tokens clients);

    fn change(
        &self,
        _change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        record().map_err(StoreError::NotRecorded)?;
        Err(StoreError::File(FileError::Write {
            path: "the store".into(),
            source: io::Error::other("no space"),
        }))
    }
}

#[test]
fn what_was_recorded_and_could_not_be_stored_is_recorded_as_that() {
    let alice = certificate("alice");
    let bench = Bench::over(Box::new(FailsLate(MemoryStore::new())), None, RULE);
    let by = administrator(&bench, &root(&alice));
    assert!(matches!(bench.authority.add(&by, &alice, Level::Full, None, now()), Err(ChangeError::Store(_))));
    assert!(matches!(bench.authority.set_passphrase(&by, None, now()), Err(ChangeError::Store(_))));
    assert_eq!(bench.events(), ["client_added", "not_stored", "passphrase_removed", "not_stored"]);
}

#[test]
fn the_owner_of_the_files_awaits_the_first_client_again() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let data = Data::new();
    let daemon = data.open();
    enrol(&daemon, &Condition::FirstClient, &alice);
    let by_hand = data.open();
    let recovery = Recovery { store: &by_hand, audit: &NoAudit };
    assert!(!recovery.await_first(now()).unwrap(), "there is a client");
    assert!(!by_hand.is_armed());

    // Beside a running daemon, and while there is none.
    for is_running in [true, false] {
        let first = if is_running { &alice } else { &bob };
        by_hand.revoke(first).unwrap();
        daemon.reload().unwrap();
        assert!(daemon.is_empty() && !daemon.is_armed());
        assert!(recovery.await_first(now()).unwrap());
        assert!(daemon.is_stale());
        let daemon = if is_running {
            daemon.reload().unwrap();
            &daemon
        } else {
            &data.open()
        };
        assert!(daemon.is_armed());
        enrol(daemon, &Condition::FirstClient, &bob);
        assert!(!daemon.is_armed() && !data.open().is_armed(), "once");
    }
}

#[test]
fn the_owner_of_the_files_adds_a_client_beside_a_running_daemon() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let data = Data::new();
    let daemon = data.open();
    enrol(&daemon, &Condition::FirstClient, &alice);
    daemon.revoke(&alice).unwrap();
    let by_hand = data.open();
    let recovery = Recovery { store: &by_hand, audit: &NoAudit };
    for client in [&alice, &bob] {
        recovery.add(client, now()).unwrap();
        assert!(daemon.is_stale());
        daemon.reload().unwrap();
        assert!(daemon.contains(&client.fingerprint()));
    }
    let hash: Option<PassphraseHash> = daemon.passphrase();
    assert_eq!(hash, None);
}

/// Its calls may be under way when it is revoked: what they want is judged when it would be done.
#[test]
fn who_is_revoked_in_the_middle_of_a_call_changes_nothing_more() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        by_passphrase(&bench.store);
        let under_way = administrator(&bench, &stranger(&alice));
        let root = administrator(&bench, &root(&certificate("root")));
        bench.authority.add(&root, &bob, Level::Full, None, now()).unwrap();
        bench.authority.revoke(&root, alice.fingerprint(), now()).unwrap();
        bench.events();

        let refused = |result: Result<(), ChangeError>| {
            assert!(matches!(result, Err(ChangeError::NoLongerTrusted)), "{kind:?}: {result:?}");
        };
        refused(bench.authority.has_passphrase(&under_way).map(drop));
        refused(bench.authority.add(&under_way, &alice, Level::Full, None, now()).map(drop));
        refused(
            bench.authority.add(&under_way, &certificate("accomplice"), Level::Full, None, now()).map(drop),
        );
        refused(bench.authority.revoke(&under_way, bob.fingerprint(), now()));
        refused(bench.authority.revoke(&under_way, alice.fingerprint(), now()));
        refused(bench.authority.set_passphrase(&under_way, None, now()));
        assert_eq!(bench.events(), [""; 0], "{kind:?}");
        assert!(bench.authority.recognise(&stranger(&alice)).is_err(), "{kind:?}");
        assert!(bench.authority.recognise(&stranger(&bob)).is_ok() && bench.store.passphrase().is_some());
    }
}
