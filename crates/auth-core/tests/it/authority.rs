//! Store, rule, channel, credentials and certificate on one side, the decision on the other: over both
//! kinds of store, with one body.

use std::error::Error;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use auth_core::testkit::MemoryStore;
use auth_core::{
    Admission, Authenticated, Caller, Change, ChangeError, Channel, Condition, Denied, Fingerprint,
    FirstClientClaim, FirstClientRule, Outcome, PassphraseHash, StoreError, TrustStore, TrustedClient,
};

use crate::support::{
    ADMIN, Bench, DAEMON, Data, KINDS, Kind, Past, RULE, Shared, Unrecorded, ask, authenticate,
    by_passphrase, certificate, enrol, local, now, passphrase, remote, root, stranger,
};

/// What an authority may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Granted(Fingerprint),
    FirstClient,
    NoCertificate,
    NotTrusted,
    NotEntitledToBeFirst,
    NotFirst,
    NoPassphraseSet,
    WrongPassphrase,
    Store,
    Gate,
}

use Answer::{FirstClient, Granted, NoCertificate, NotEntitledToBeFirst, NotTrusted};

impl From<Denied> for Answer {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoCertificate => Self::NoCertificate,
            Denied::NotTrusted => Self::NotTrusted,
            Denied::NotEntitledToBeFirst => Self::NotEntitledToBeFirst,
            Denied::NotFirst => Self::NotFirst,
            Denied::NoPassphraseSet => Self::NoPassphraseSet,
            Denied::WrongPassphrase => Self::WrongPassphrase,
            Denied::Store(_) => Self::Store,
            Denied::Gate(_) => Self::Gate,
            other => panic!("a reason that no test knows: {other:?}"),
        }
    }
}

impl From<Result<Authenticated, Denied>> for Answer {
    fn from(result: Result<Authenticated, Denied>) -> Self {
        result.map_or_else(Self::from, |authenticated| Granted(authenticated.client()))
    }
}

impl From<Result<Admission, Denied>> for Answer {
    fn from(result: Result<Admission, Denied>) -> Self {
        result.map_or_else(Self::from, |admission| match admission {
            Admission::Granted(authenticated) => Granted(authenticated.client()),
            Admission::FirstClient(_) => FirstClient,
        })
    }
}

/// Every way to reach the service, under a rule, and whether who comes so may be first.
fn ways() -> Vec<(&'static str, FirstClientRule, Channel, bool)> {
    let no_group = FirstClientRule { admin_gid: None, ..RULE };
    vec![
        ("root", RULE, local(0, 0, &[]), true),
        ("root, no admin group", no_group, local(0, 0, &[]), true),
        ("the daemon's user", RULE, local(DAEMON, 990, &[]), true),
        ("the daemon's user, no admin group", no_group, local(DAEMON, 990, &[]), true),
        ("admin group, primary", RULE, local(1000, ADMIN, &[]), true),
        ("admin group, supplementary", RULE, local(1000, 1000, &[4, ADMIN, 30]), true),
        ("other groups", RULE, local(1000, 1000, &[4, 30, 1000]), false),
        ("no groups at all", RULE, local(1000, 1000, &[]), false),
        ("root's group, not its user", RULE, local(1000, 0, &[0]), false),
        ("the daemon's group, not its user", RULE, local(1000, DAEMON, &[DAEMON]), false),
        ("a user whose number is the group's", RULE, local(ADMIN, 1000, &[]), false),
        ("admin group elsewhere, none here", no_group, local(1000, ADMIN, &[ADMIN, 0]), false),
        ("remote address", RULE, remote("192.0.2.7"), false),
        ("remote IPv6 address", RULE, remote("2001:db8::7"), false),
        ("loopback", RULE, remote("127.0.0.1"), false),
        ("IPv6 loopback", RULE, remote("::1"), false),
        ("mapped loopback", RULE, remote("::ffff:127.0.0.1"), false),
    ]
}

#[test]
fn who_is_recognised_and_admitted() {
    let (alice, mallory) = (certificate("alice"), certificate("mallory"));
    let is_alice = Granted(alice.fingerprint());
    // A store's past, a certificate; recognised, admitted when entitled, admitted when not.
    let table = [
        (Past::Fresh, None, NoCertificate, NoCertificate, NoCertificate),
        (Past::Fresh, Some(&mallory), NotTrusted, FirstClient, NotEntitledToBeFirst),
        (Past::Enrolled, None, NoCertificate, NoCertificate, NoCertificate),
        (Past::Enrolled, Some(&alice), is_alice, is_alice, is_alice),
        (Past::Enrolled, Some(&mallory), NotTrusted, NotTrusted, NotTrusted),
        (Past::Emptied, None, NoCertificate, NoCertificate, NoCertificate),
        (Past::Emptied, Some(&alice), NotTrusted, NotTrusted, NotTrusted),
        (Past::Emptied, Some(&mallory), NotTrusted, NotTrusted, NotTrusted),
    ];
    for kind in KINDS {
        for (past, certificate, recognised, if_entitled, if_not) in table {
            for (way, rule, channel, entitled) in ways() {
                let bench = Bench::new(kind, past, &alice, rule);
                let before = (bench.store.is_armed(), bench.store.is_empty());
                let caller = Caller { channel, certificate: certificate.cloned() };
                let case = format!("{kind:?}, {past:?}, {way}, {certificate:?}");

                assert_eq!(Answer::from(bench.authority.recognise(&caller)), recognised, "{case}");
                let admitted = if entitled { if_entitled } else { if_not };
                assert_eq!(Answer::from(bench.authority.admit(&caller)), admitted, "{case}");
                // To be asked changes nothing.
                assert_eq!((bench.store.is_armed(), bench.store.is_empty()), before, "{case}");
                assert_eq!(bench.events(), [""; 0], "{case}");
            }
        }
    }
}

fn claim(bench: &Bench, caller: &Caller) -> FirstClientClaim {
    match bench.authority.admit(caller) {
        Ok(Admission::FirstClient(claim)) => claim,
        other => panic!("no claim: {other:?}"),
    }
}

#[test]
fn of_all_claims_one_is_enrolled() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Fresh, &alice, RULE);
        let enrol = |claim| Answer::from(bench.authority.enrol_first(claim, now()));
        let (first, again, second) =
            (claim(&bench, &root(&alice)), claim(&bench, &root(&alice)), claim(&bench, &root(&bob)));

        assert_eq!(enrol(&first), Granted(alice.fingerprint()), "{kind:?}");
        assert_eq!(bench.events(), ["first_client_enrolled", "stored", "opened"], "{kind:?}");
        assert_eq!((bench.store.is_armed(), bench.store.is_empty()), (false, false), "{kind:?}");

        assert_eq!(enrol(&second), Answer::NotFirst, "{kind:?}");
        // The first client again, which had claimed on two connections.
        assert_eq!(enrol(&again), Granted(alice.fingerprint()), "{kind:?}");
        assert_eq!(bench.events(), ["opened"], "{kind:?}: it may have claimed at two daemons");

        assert_eq!(Answer::from(bench.authority.admit(&stranger(&alice))), Granted(alice.fingerprint()));
        assert_eq!(Answer::from(bench.authority.admit(&root(&bob))), NotTrusted, "{kind:?}");
        assert!(bench.data.is_none_or(|data| data.blocks() == 1));
    }
}

#[test]
fn an_empty_store_that_is_not_armed_enrols_nobody_for_being_first() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        // Claims are only made while a store is armed: this one was, and no longer is.
        let claim = claim(&Bench::new(kind, Past::Fresh, &alice, RULE), &root(&bob));
        let bench = Bench::new(kind, Past::Emptied, &alice, RULE);
        assert!(bench.store.is_empty());
        assert_eq!(Answer::from(bench.authority.enrol_first(&claim, now())), Answer::NotFirst, "{kind:?}");
        assert_eq!(Answer::from(bench.authority.recognise(&root(&bob))), NotTrusted, "{kind:?}");
        assert_eq!(bench.events(), [""; 0], "{kind:?}");
    }
}

#[test]
fn who_is_let_in_by_the_passphrase() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let (is_alice, is_bob) = (Granted(alice.fingerprint()), Granted(bob.fingerprint()));
    const SET: Option<&str> = Some("open sesame");
    // A store's past, the passphrase set, a certificate, the passphrase given; the answer, and how
    // many blocks a trust file then holds.
    let table = [
        (Past::Enrolled, SET, None, "open sesame", NoCertificate, 1),
        (Past::Enrolled, None, Some(&bob), "open sesame", Answer::NoPassphraseSet, 1),
        (Past::Enrolled, None, Some(&alice), "open sesame", Answer::NoPassphraseSet, 1),
        (Past::Enrolled, SET, Some(&bob), "open sesam", Answer::WrongPassphrase, 1),
        (Past::Enrolled, SET, Some(&bob), "open sesame ", Answer::WrongPassphrase, 1),
        (Past::Enrolled, SET, Some(&alice), "Open sesame", Answer::WrongPassphrase, 1),
        (Past::Enrolled, SET, Some(&bob), "open sesame", is_bob, 2),
        (Past::Enrolled, SET, Some(&alice), "open sesame", is_alice, 1),
        // The passphrase does not need a first client, and neither does its lack make one.
        (Past::Fresh, SET, Some(&bob), "open sesame", is_bob, 1),
        (Past::Fresh, SET, Some(&bob), "shut sesame", Answer::WrongPassphrase, 0),
        (Past::Fresh, None, Some(&bob), "open sesame", Answer::NoPassphraseSet, 0),
        (Past::Emptied, SET, Some(&bob), "open sesame", is_bob, 1),
        (Past::Emptied, SET, Some(&bob), "shut sesame", Answer::WrongPassphrase, 0),
    ];
    let channels = [local(1000, 1000, &[]), remote("192.0.2.7")];
    let hash = PassphraseHash::of(&passphrase("open sesame")).unwrap();
    for kind in KINDS {
        for (past, set, certificate, given, answer, blocks) in table {
            for channel in &channels {
                let bench = Bench::new(kind, past, &alice, RULE);
                bench.store.set_passphrase(set.map(|_| hash.clone())).unwrap();
                let was_armed = bench.store.is_armed();
                let case = format!("{kind:?}, {past:?}, set {set:?}, {certificate:?}, {given}, {channel}");

                let caller = Caller { channel: channel.clone(), certificate: certificate.cloned() };
                let result = authenticate(&bench.authority, &caller, given);
                assert_eq!(Answer::from(result), answer, "{case}");

                let let_in = matches!(answer, Granted(_));
                assert_eq!(
                    bench.events(),
                    if let_in { vec!["passphrase_accepted", "stored", "opened"] } else { vec![] },
                    "{case}: the gate is opened by an enrolment alone"
                );
                assert_eq!(bench.store.is_armed(), was_armed && !let_in, "{case}");
                if let_in {
                    assert_eq!(Answer::from(bench.authority.recognise(&caller)), answer, "{case}");
                } else {
                    assert!(!bench.store.contains(&bob.fingerprint()), "{case}");
                }
                if let Some(data) = &bench.data {
                    let found = if data.clients().exists() { data.blocks() } else { 0 };
                    assert_eq!(found, blocks, "{case}");
                }
            }
        }
    }
}

/// Changes the passphrase right after it was read: while the caller's is being hashed.
#[derive(Debug)]
struct ChangedMeanwhile {
    inner: Box<dyn TrustStore>,
    to: Option<PassphraseHash>,
}

impl TrustStore for ChangedMeanwhile {
    ask!(inner: level is_empty is_armed tokens clients change);

    fn passphrase(&self) -> Option<PassphraseHash> {
        let before = self.inner.passphrase();
        self.inner.set_passphrase(self.to.clone()).unwrap();
        before
    }
}

#[test]
fn a_passphrase_that_is_changed_while_it_is_hashed_is_the_wrong_one() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let same_words = PassphraseHash::of(&passphrase("open sesame")).unwrap();
    let other = PassphraseHash::of(&passphrase("shut sesame")).unwrap();
    for kind in KINDS {
        // Even the same words, set again: it is not the one that was checked.
        for to in [Some(&other), Some(&same_words), None] {
            let data = matches!(kind, Kind::File).then(Data::new);
            let inner: Box<dyn TrustStore> = match &data {
                Some(data) => Box::new(data.open()),
                None => Box::new(MemoryStore::new()),
            };
            enrol(&*inner, &Condition::FirstClient, &alice);
            by_passphrase(&*inner);
            let store = Shared::new(ChangedMeanwhile { inner, to: to.cloned() });
            let bench = Bench::over(Box::new(store.clone()), data, RULE);

            let result = authenticate(&bench.authority, &root(&bob), "open sesame");
            assert_eq!(Answer::from(result), Answer::WrongPassphrase, "{kind:?}");
            assert!(!store.contains(&bob.fingerprint()), "{kind:?}");
            assert_eq!(bench.events(), [""; 0], "{kind:?}");
        }
    }
}

#[test]
fn a_store_that_fails_lets_nobody_in_and_opens_no_gate() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Fresh, &alice, RULE);
        by_passphrase(&bench.store);
        let claim = claim(&bench, &root(&alice));
        let first = || Answer::from(bench.authority.enrol_first(&claim, now()));
        let by_passphrase = || Answer::from(authenticate(&bench.authority, &stranger(&bob), "open sesame"));

        bench.store.fails.store(true, Ordering::SeqCst);
        assert_eq!((first(), by_passphrase()), (Answer::Store, Answer::Store), "{kind:?}");
        assert_eq!(bench.events(), [""; 0], "{kind:?}");
        assert_eq!((bench.store.is_empty(), bench.store.is_armed()), (true, true), "{kind:?}");

        bench.store.fails.store(false, Ordering::SeqCst);
        assert_eq!(first(), Granted(alice.fingerprint()), "{kind:?}");
        assert_eq!(by_passphrase(), Granted(bob.fingerprint()), "{kind:?}");
        let both = ["first_client_enrolled", "stored", "opened", "passphrase_accepted", "stored", "opened"];
        assert_eq!(bench.events(), both, "{kind:?}");
    }
}

#[test]
fn a_gate_that_fails_is_an_error_once_and_the_client_stays_trusted() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Fresh, &alice, RULE);
        by_passphrase(&bench.store);
        let claim = claim(&bench, &root(&alice));
        bench.gate.fails.store(true, Ordering::SeqCst);

        let first = bench.authority.enrol_first(&claim, now());
        let message = first.as_ref().unwrap_err().source().unwrap().to_string();
        assert!(message.contains("chmod refused"), "{message}");
        assert_eq!(Answer::from(first), Answer::Gate, "{kind:?}");
        let second = authenticate(&bench.authority, &stranger(&bob), "open sesame");
        assert_eq!(Answer::from(second), Answer::Gate, "{kind:?}");

        let both =
            ["first_client_enrolled", "stored", "not opened", "passphrase_accepted", "stored", "not opened"];
        assert_eq!(bench.events(), both, "{kind:?}");
        for client in [&alice, &bob] {
            let admitted = bench.authority.admit(&stranger(client));
            assert_eq!(Answer::from(admitted), Granted(client.fingerprint()), "{kind:?}");
        }
    }
}

#[test]
fn a_trusted_client_sets_and_unsets_the_passphrase() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for kind in KINDS {
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        let by = bench.authority.administrator(&stranger(&alice)).unwrap();
        let set =
            |text: Option<&str>| bench.authority.set_passphrase(&by, text.map(passphrase).as_ref(), now());
        let given = |text: &str| Answer::from(authenticate(&bench.authority, &stranger(&bob), text));

        assert!(!bench.authority.passphrase_is_set(), "{kind:?}");
        set(Some("old words")).unwrap();
        assert!(bench.authority.passphrase_is_set(), "{kind:?}");

        // A store that fails keeps the old one.
        bench.store.fails.store(true, Ordering::SeqCst);
        for text in [Some("new words"), None] {
            assert!(matches!(set(text), Err(ChangeError::Store(_))), "{kind:?}");
        }
        bench.store.fails.store(false, Ordering::SeqCst);
        assert!(bench.authority.passphrase_is_set(), "{kind:?}");
        assert_eq!(given("new words"), Answer::WrongPassphrase, "{kind:?}");
        assert_eq!(given("old words"), Granted(bob.fingerprint()), "{kind:?}");

        set(Some("new words")).unwrap();
        assert_eq!(given("old words"), Answer::WrongPassphrase, "{kind:?}");
        assert_eq!(given("new words"), Granted(bob.fingerprint()), "{kind:?}");

        set(None).unwrap();
        assert!(!bench.authority.passphrase_is_set(), "{kind:?}");
        assert_eq!(given("new words"), Answer::NoPassphraseSet, "{kind:?}");
    }
}

/// The wait that a caller is told is never too short, and never longer than it need be.
#[test]
fn who_guesses_too_often_is_told_how_long_to_wait() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let bench = Bench::new(Kind::Memory, Past::Enrolled, &alice, RULE);
    by_passphrase(&bench.store);
    let start = Instant::now();
    let guess = |caller: &Caller, after: Duration| {
        let guess = bench.authority.begin_guess(caller, passphrase("wrong"), start + after)?;
        bench.authority.authenticate(guess, now())
    };
    for _ in 0..4 {
        assert!(matches!(guess(&stranger(&bob), Duration::ZERO), Err(Denied::WrongPassphrase)));
    }
    // A second after the fourth failure; then two.
    for (after, expected) in [(0, 1), (1, 1), (999, 1), (1000, 0), (1000, 2), (1001, 2), (2000, 1), (2001, 1)]
    {
        let told = match guess(&stranger(&bob), Duration::from_millis(after)) {
            Err(Denied::TooManyGuesses { seconds }) => seconds,
            Err(Denied::WrongPassphrase) => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "after {after} ms");
    }
    // A trusted client may err as often as it likes.
    for _ in 0..10 {
        assert!(matches!(guess(&stranger(&alice), Duration::ZERO), Err(Denied::WrongPassphrase)));
    }
}
