//! Tokens: who may make them, whom they let in, once, and by what clock they end.

use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use auth_core::testkit::{NoAudit, NoGate};
use auth_core::{
    Actor, Administrator, Authority, ChangeError, ClientCertificate, Condition, Denied, FileStore,
    InvalidToken, Level, Moment, NewToken, Outcome, StoreError, TokenLife, TrustStore,
};
use durable::FileError;

use crate::support::{
    Bench, Data, KINDS, Kind, Past, RULE, Unrecorded, certificate, enrol, now, root, stranger,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DECADE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

fn moment() -> Moment {
    Moment { clock: now(), running: Instant::now() }
}

/// The moment that comes so long after another by the clock that nobody sets, while the other one says `clock`.
fn after(from: Moment, passed: Duration, clock: SystemTime) -> Moment {
    Moment { clock, running: from.running + passed }
}

fn administrator(authority: &Authority, client: &ClientCertificate) -> Administrator {
    authority.administrator(&stranger(client)).unwrap()
}

/// An hour's token.
fn create(
    authority: &Authority,
    by: &Administrator,
    level: Level,
    at: Moment,
) -> Result<NewToken, ChangeError> {
    authority.create_token(by, None, level, TokenLife::of_seconds(HOUR.as_secs()).unwrap(), at)
}

fn redeem(
    authority: &Authority,
    client: &ClientCertificate,
    token: &NewToken,
    at: Moment,
) -> Result<Level, Denied> {
    let presented = authority.present_token(&stranger(client), &token.secret.to_hex())?;
    authority.redeem(&presented, at).map(|(client, _)| client.level())
}

/// How a token has ended for whoever presents it.
#[track_caller]
fn lapsed(outcome: Result<Level, Denied>) -> InvalidToken {
    match outcome {
        Err(Denied::TokenNotValid(lapse)) => lapse,
        other => panic!("{other:?}"),
    }
}

/// A daemon over the files, with alice as a client that may do everything.
struct Daemon {
    store: Arc<FileStore>,
    authority: Authority,
    alice: ClientCertificate,
    data: Data,
}

impl Daemon {
    fn new() -> Self {
        let (data, alice) = (Data::new(), certificate("alice"));
        enrol(&data.open(), &Condition::FirstClient, &alice);
        Self::over(data, alice, now())
    }

    fn over(data: Data, alice: ClientCertificate, at: SystemTime) -> Self {
        let store = Arc::new(data.try_open_at(at).unwrap().0);
        let authority =
            Authority::new(Arc::<FileStore>::clone(&store), Box::new(NoGate), RULE, Arc::new(NoAudit));
        Self { store, authority, alice, data }
    }

    fn restart(self, at: SystemTime) -> Self {
        let Self { data, alice, .. } = self;
        Self::over(data, alice, at)
    }

    fn create(&self, at: Moment) -> NewToken {
        create(&self.authority, &administrator(&self.authority, &self.alice), Level::ReadOnly, at).unwrap()
    }

    fn tokens(&self, at: Moment) -> usize {
        let by = administrator(&self.authority, &self.alice);
        self.authority.tokens(&by, at).unwrap().len()
    }

    fn file(&self) -> std::path::PathBuf {
        self.data.directory().join("tokens")
    }
}

#[test]
fn a_token_is_recorded_then_stored_and_what_cannot_be_recorded_is_not_done() {
    for kind in KINDS {
        let (alice, bob) = (certificate("alice"), certificate("bob"));
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        let by = administrator(&bench.authority, &alice);
        let fail = |fails| bench.audit.fails.store(fails, std::sync::atomic::Ordering::SeqCst);
        fail(true);
        let refused = create(&bench.authority, &by, Level::Full, moment());
        assert!(matches!(refused, Err(ChangeError::Store(StoreError::NotRecorded(_)))), "{kind:?}");
        assert_eq!(bench.authority.tokens(&by, moment()).unwrap(), []);
        fail(false);
        let [one, other] = [Level::Full, Level::ReadOnly]
            .map(|level| create(&bench.authority, &by, level, moment()).unwrap());
        assert_eq!(bench.events(), ["token_created", "read_only_token_created"]);
        fail(true);
        let refused = redeem(&bench.authority, &bob, &one, moment());
        assert!(matches!(refused, Err(Denied::Store(StoreError::NotRecorded(_)))), "{kind:?}");
        assert!(!bench.store.contains(&bob.fingerprint()));
        assert!(bench.authority.revoke_token(&by, other.token.id, moment()).is_err());
        assert_eq!(bench.authority.tokens(&by, moment()).unwrap().len(), 2, "{kind:?}");
        fail(false);
        assert_eq!(redeem(&bench.authority, &bob, &one, moment()).unwrap(), Level::Full);
        assert_eq!(bench.events(), ["token_redeemed", "stored", "opened"], "{kind:?}");
        bench.authority.revoke_token(&by, other.token.id, moment()).unwrap();
        assert_eq!(bench.events(), ["token_revoked"]);
        assert_eq!(lapsed(redeem(&bench.authority, &bob, &other, moment())), InvalidToken::Revoked);
        assert_eq!(
            lapsed(redeem(&bench.authority, &certificate("carol"), &one, moment())),
            InvalidToken::Spent
        );
        assert!(matches!(
            bench.authority.revoke_token(&by, one.token.id, moment()),
            Err(ChangeError::NoSuchToken)
        ));
    }
}

#[test]
fn a_token_gives_what_it_says_to_whoever_has_less_and_takes_nothing() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Was {
        Nobody,
        Revoked,
        At(Level),
    }
    use Level::{Full, ReadOnly};
    for kind in KINDS {
        for (was, gives, becomes) in [
            (Was::Nobody, ReadOnly, Some(ReadOnly)),
            (Was::Nobody, Full, Some(Full)),
            (Was::Revoked, ReadOnly, Some(ReadOnly)),
            (Was::Revoked, Full, Some(Full)),
            (Was::At(ReadOnly), Full, Some(Full)),
            (Was::At(ReadOnly), ReadOnly, None),
            (Was::At(Full), ReadOnly, None),
            (Was::At(Full), Full, None),
        ] {
            let case = format!("{kind:?}, {was:?}, {gives}");
            let (alice, bob) = (certificate("alice"), certificate("bob"));
            let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
            let by = administrator(&bench.authority, &alice);
            if was != Was::Nobody {
                bench.store.add_read_only(&bob).unwrap();
            }
            match was {
                Was::Revoked => assert_eq!(bench.store.revoke(&bob).unwrap(), Outcome::Changed),
                Was::At(level) => drop(bench.store.set_level(&bob, level).unwrap()),
                Was::Nobody => {}
            }
            let token = create(&bench.authority, &by, gives, moment()).unwrap();
            let outcome = redeem(&bench.authority, &bob, &token, moment());
            let left = bench.authority.tokens(&by, moment()).unwrap().len();
            let level = bench.store.level(&bob.fingerprint());
            match becomes {
                Some(expected) => {
                    assert_eq!((outcome.unwrap(), level, left), (expected, Some(expected), 0), "{case}");
                }
                None => {
                    let Was::At(before) = was else { panic!("{case}") };
                    assert!(
                        matches!(outcome, Err(Denied::TrustedAlready(level)) if level == before),
                        "{case}"
                    );
                    assert_eq!((level, left), (Some(before), 1), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_token_ends_with_the_trust_in_who_made_it_and_stays_ended() {
    for kind in KINDS {
        for reduced in [false, true] {
            let (alice, bob, carol) = (certificate("alice"), certificate("bob"), certificate("carol"));
            let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
            let authority = &bench.authority;
            let by = administrator(authority, &alice);
            authority.add(&by, &bob, Level::Full, None, now()).unwrap();
            let kept = create(authority, &by, Level::Full, moment()).unwrap();
            let by_bob = administrator(authority, &bob);
            let token = create(authority, &by_bob, Level::Full, moment()).unwrap();
            match reduced {
                true => authority.set_level(&by, bob.fingerprint(), Level::ReadOnly, now()).unwrap(),
                false => authority.revoke(&by, bob.fingerprint(), now()).unwrap(),
            }
            assert_eq!(authority.tokens(&by, moment()).unwrap().len(), 1, "{kind:?}");
            assert_eq!(
                lapsed(redeem(authority, &carol, &token, moment())),
                InvalidToken::Orphaned,
                "{kind:?}"
            );
            // By what it was told before that, it makes none any more, and is told of none, nor of clients.
            let refusals = [
                create(authority, &by_bob, Level::Full, moment()).err(),
                authority.tokens(&by_bob, moment()).err(),
                authority.clients(&by_bob).err(),
            ];
            for again in refusals {
                match reduced {
                    true => assert!(matches!(again, Some(ChangeError::ReadOnlyByNow)), "{again:?}"),
                    false => assert!(matches!(again, Some(ChangeError::NoLongerTrusted)), "{again:?}"),
                }
            }
            match reduced {
                true => authority.set_level(&by, bob.fingerprint(), Level::Full, now()).unwrap(),
                false => drop(authority.add(&by, &bob, Level::Full, None, now()).unwrap()),
            }
            assert_eq!(
                lapsed(redeem(authority, &carol, &token, moment())),
                InvalidToken::Orphaned,
                "{kind:?}"
            );
            assert_eq!(redeem(authority, &carol, &kept, moment()).unwrap(), Level::Full);
        }
    }
}

/// As a crash between the two writes leaves it; or a full disk, at the second.
#[test]
fn a_token_whose_end_was_not_written_with_the_revocation_does_not_come_back_with_its_maker() {
    for restarts in [false, true] {
        let mut daemon = Daemon::new();
        let bob = certificate("bob");
        let by = daemon.authority.administrator(&root(&daemon.alice)).unwrap();
        daemon.authority.add(&by, &bob, Level::Full, None, now()).unwrap();
        let by_bob = administrator(&daemon.authority, &bob);
        let token = create(&daemon.authority, &by_bob, Level::Full, moment()).unwrap();
        let before = fs::read(daemon.file()).unwrap();
        daemon.authority.revoke(&by, bob.fingerprint(), now()).unwrap();
        assert_eq!(fs::read(daemon.file()).unwrap(), b"");
        fs::write(daemon.file(), before).unwrap();
        if restarts {
            daemon = daemon.restart(now());
        }
        daemon.authority.add(&by, &bob, Level::Full, None, now()).unwrap();
        daemon.store.reload().unwrap();
        assert_eq!(daemon.tokens(moment()), 0);
        assert!(redeem(&daemon.authority, &certificate("carol"), &token, moment()).is_err());
    }
}

#[test]
fn a_token_ends_when_its_maker_is_taken_out_of_the_trust_file_by_hand() {
    let daemon = Daemon::new();
    let bob = certificate("bob");
    let by = daemon.authority.administrator(&root(&daemon.alice)).unwrap();
    daemon.authority.add(&by, &bob, Level::Full, None, now()).unwrap();
    let life = TokenLife::of_seconds(HOUR.as_secs()).unwrap();
    let by_bob = administrator(&daemon.authority, &bob);
    daemon.authority.create_token(&by_bob, None, Level::Full, life, Moment::now()).unwrap();
    let with_bob = daemon.data.text();
    fs::write(daemon.data.clients(), daemon.alice.to_pem()).unwrap();
    daemon.store.reload().unwrap();
    assert_eq!(fs::read(daemon.file()).unwrap(), b"");
    fs::write(daemon.data.clients(), with_bob).unwrap();
    daemon.store.reload().unwrap();
    assert!(daemon.store.contains(&bob.fingerprint()));
    assert_eq!(daemon.tokens(Moment::now()), 0);
}

#[test]
fn of_two_at_once_exactly_one_is_enrolled() {
    for daemons in [1, 2] {
        for round in 0..50 {
            let data = Data::new();
            let alice = certificate("alice");
            enrol(&data.open(), &Condition::FirstClient, &alice);
            let first = Daemon::over(data, alice.clone(), now());
            let token = first.create(moment());
            let second = first.data.open();
            let second = Authority::new(Arc::new(second), Box::new(NoGate), RULE, Arc::new(NoAudit));
            let authorities = [&first.authority, if daemons == 1 { &first.authority } else { &second }];
            let clients = [certificate("bob"), certificate("carol")];
            let start = Barrier::new(2);
            let entered = thread::scope(|scope| {
                let both: Vec<_> = authorities
                    .iter()
                    .zip(&clients)
                    .map(|(authority, client)| {
                        let (start, token) = (&start, &token);
                        scope.spawn(move || {
                            start.wait();
                            redeem(authority, client, token, moment()).is_ok()
                        })
                    })
                    .collect();
                both.into_iter().filter_map(|one| one.join().unwrap().then_some(())).count()
            });
            assert_eq!(entered, 1, "round {round} of {daemons}");
            let trusted = first.data.open();
            let inside = clients.iter().filter(|client| trusted.contains(&client.fingerprint())).count();
            assert_eq!((inside, trusted.tokens(moment()).len()), (1, 0), "round {round} of {daemons}");
        }
    }
}

#[test]
fn a_token_that_is_not_there_costs_no_file() {
    let daemon = Daemon::new();
    let token = daemon.create(moment());
    let spent = daemon.create(moment());
    redeem(&daemon.authority, &certificate("bob"), &spent, moment()).unwrap();
    fs::remove_dir_all(daemon.data.directory()).unwrap();
    let carol = stranger(&certificate("carol"));
    let present = |secret: &str| daemon.authority.present_token(&carol, secret).map(drop);
    for (secret, expected) in [
        ("", InvalidToken::Unknown),
        (&*"0".repeat(32), InvalidToken::Unknown),
        (&**spent.secret.to_hex(), InvalidToken::Spent),
    ] {
        assert!(
            matches!(present(secret), Err(Denied::TokenNotValid(lapse)) if lapse == expected),
            "{secret}"
        );
    }
    // One that is there is looked for on the disk.
    assert!(matches!(
        redeem(&daemon.authority, &certificate("carol"), &token, moment()),
        Err(Denied::Store(_))
    ));
}

#[test]
fn the_clock_set_back_gives_no_more_time() {
    for kind in KINDS {
        let alice = certificate("alice");
        let bench = Bench::new(kind, Past::Enrolled, &alice, RULE);
        let by = administrator(&bench.authority, &alice);
        let made = moment();
        let [one, other] = [(); 2].map(|()| create(&bench.authority, &by, Level::ReadOnly, made).unwrap());
        for back in [now() - DECADE, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - DECADE] {
            assert_eq!(
                bench.authority.tokens(&by, after(made, HOUR - SECOND, back)).unwrap().len(),
                2,
                "{kind:?}"
            );
            assert_eq!(bench.authority.tokens(&by, after(made, HOUR, back)).unwrap().len(), 0, "{kind:?}");
        }
        // A change in between, by a clock that was set back, keeps the time.
        let half = after(made, HOUR / 2, now() - DECADE);
        redeem(&bench.authority, &certificate("bob"), &one, half).unwrap();
        let late = after(half, HOUR / 2, now() - 2 * DECADE);
        assert_eq!(
            lapsed(redeem(&bench.authority, &certificate("carol"), &other, late)),
            InvalidToken::Expired
        );
        // Seen to have ended once, it has ended: also where the clock says that it was never made.
        let outcome = redeem(&bench.authority, &certificate("carol"), &other, made);
        assert_eq!(lapsed(outcome), InvalidToken::Expired, "{kind:?}");
    }
}

#[test]
fn reading_the_files_again_gives_no_more_time() {
    let daemon = Daemon::new();
    let made = moment();
    daemon.create(made);
    let end = after(made, HOUR, now() - DECADE);
    let by = daemon.authority.administrator(&root(&daemon.alice)).unwrap();
    daemon.authority.rename(&by, daemon.alice.fingerprint(), &"other".parse().unwrap(), now()).unwrap();
    assert_eq!(daemon.tokens(end), 0, "after a change that is not about tokens");
    daemon.store.reload().unwrap();
    assert_eq!(daemon.tokens(end), 0);
    // Another process has seen more of it go by, and written that down.
    let other = daemon.data.open();
    other.tend_tokens(after(made, 10 * MINUTE, now() - DECADE), MINUTE).unwrap();
    daemon.store.reload().unwrap();
    assert_eq!(daemon.tokens(after(made, 49 * MINUTE, now() - DECADE)), 1);
    assert_eq!(daemon.tokens(after(made, 51 * MINUTE, now() - DECADE)), 0);
}

#[test]
fn the_clock_set_back_before_each_restart_gives_no_more_time() {
    let daemon = Daemon::new();
    let made = moment();
    let token = daemon.create(made);
    daemon.store.tend_tokens(after(made, HOUR / 2, now() - DECADE), 10 * MINUTE).unwrap();
    let daemon = daemon.restart(now() - DECADE);
    // Half an hour is left, whatever the clock says.
    let restarted = moment();
    let at = |passed| after(restarted, passed, now() - 2 * DECADE);
    assert_eq!((daemon.tokens(at(29 * MINUTE)), daemon.tokens(at(31 * MINUTE))), (1, 0));
    daemon.store.tend_tokens(at(20 * MINUTE), 10 * MINUTE).unwrap();
    let daemon = daemon.restart(now() - 2 * DECADE);
    let restarted = moment();
    let at = |passed| after(restarted, passed, now() - 3 * DECADE);
    assert_eq!((daemon.tokens(at(9 * MINUTE)), daemon.tokens(at(11 * MINUTE))), (1, 0));
    // What has ended is taken out, and back at the right time it is not there any more.
    daemon.store.tend_tokens(at(11 * MINUTE), 10 * MINUTE).unwrap();
    assert_eq!(fs::read(daemon.file()).unwrap(), b"");
    let daemon = daemon.restart(now());
    let outcome = redeem(&daemon.authority, &certificate("bob"), &token, moment());
    assert_eq!(lapsed(outcome), InvalidToken::Unknown);
}

#[test]
fn the_time_is_written_down_when_it_is_due_and_not_before() {
    let daemon = Daemon::new();
    let made = moment();
    daemon.create(made);
    let written = fs::read(daemon.file()).unwrap();
    let tend = |passed| daemon.store.tend_tokens(after(made, passed, now() + passed), 10 * MINUTE).unwrap();
    tend(10 * MINUTE - SECOND);
    assert_eq!(fs::read(daemon.file()).unwrap(), written);
    tend(10 * MINUTE + SECOND);
    let later = fs::read(daemon.file()).unwrap();
    assert_ne!(later, written);
    tend(19 * MINUTE);
    assert_eq!(fs::read(daemon.file()).unwrap(), later);
    tend(HOUR);
    assert_eq!(fs::read(daemon.file()).unwrap(), b"");
}

#[test]
fn the_clock_set_forward_once_ends_the_tokens_of_before_and_nothing_else() {
    let daemon = Daemon::new();
    let made = moment();
    daemon.create(made);
    let future = after(made, MINUTE, now() + DECADE);
    // Made there, and nothing of before is left.
    let there = daemon.create(future);
    assert_eq!(daemon.tokens(made), 1, "the one of the future");
    // The clock is fixed: that one lives as long as it was to, and new ones do.
    let fixed = after(future, MINUTE, now() + 2 * MINUTE);
    let token = daemon.create(fixed);
    assert_eq!(daemon.tokens(fixed), 2);
    assert_eq!(daemon.tokens(after(future, HOUR - SECOND, fixed.clock + HOUR - 2 * MINUTE)), 2);
    assert_eq!(daemon.tokens(after(future, HOUR, fixed.clock + HOUR - 2 * MINUTE)), 1);
    // Also over a restart.
    let daemon = daemon.restart(fixed.clock);
    let restarted = moment();
    assert_eq!(daemon.tokens(after(restarted, 57 * MINUTE, fixed.clock + 57 * MINUTE)), 2);
    assert_eq!(daemon.tokens(after(restarted, 59 * MINUTE, fixed.clock + 59 * MINUTE)), 1);
    for (token, client) in [(there, "bob"), (token, "carol")] {
        redeem(&daemon.authority, &certificate(client), &token, fixed).unwrap();
    }
}

#[test]
fn there_are_a_thousand_tokens_at_most_and_those_that_have_ended_make_room() {
    // Of a thousand writes each over files, the half of a megabyte, one kind's are enough.
    let alice = certificate("alice");
    let bench = Bench::new(Kind::Memory, Past::Enrolled, &alice, RULE);
    let by = administrator(&bench.authority, &alice);
    let made = moment();
    let first = create(&bench.authority, &by, Level::Full, made).unwrap();
    for _ in 1..1_000 {
        create(&bench.authority, &by, Level::Full, made).unwrap();
    }
    let full = |at| matches!(create(&bench.authority, &by, Level::Full, at), Err(ChangeError::TooManyTokens));
    assert!(full(made));
    bench.authority.revoke_token(&by, first.token.id, made).unwrap();
    assert!(!full(made) && full(made));
    let later = after(made, HOUR, now() + HOUR);
    assert!(!full(later));
    assert_eq!(bench.authority.tokens(&by, later).unwrap().len(), 1);
}

#[test]
fn what_is_damaged_is_set_aside_and_takes_no_other_token_with_it() {
    let daemon = Daemon::new();
    let [one, other] = [daemon.create(moment()), daemon.create(moment())];
    let text = fs::read_to_string(daemon.file()).unwrap();
    let (good, bad) = text.split_at(text.find('\n').unwrap() + 1);
    let forever = bad.replacen(" expires=20", " expires=21", 1);
    assert_ne!(forever, bad);
    for (line, why) in [
        (bad[1..].to_owned(), "a digit too few"),
        (bad[..bad.len() / 2].to_owned(), "torn"),
        (bad.replacen("level=read-only", "level=all", 1), "no level"),
        (bad.replacen(" level=read-only", "", 1), "a word is missing"),
        (bad.replacen(" level=", " uses=2 level=", 1), "a word too many"),
        (bad.replacen("by=", "by=x", 1), "nobody made it"),
        (bad.replacen(" seen=20", " seen=19", 1), "it was seen before it was made"),
        (forever, "it lives too long"),
        (good.to_owned(), "twice"),
        ("\u{fffd}\n".to_owned(), "anything"),
    ] {
        let damaged = [good.as_bytes(), line.as_bytes()].concat();
        fs::write(daemon.file(), &damaged).unwrap();
        let before = daemon.data.set_aside();
        let (store, damage) = daemon.data.try_open().unwrap();
        assert_eq!((damage.len(), &damage[0].file), (1, &daemon.file()), "{why}");
        assert_eq!(damage[0].bytes, good.len()..damaged.len(), "{why}");
        assert_eq!(fs::read(&damage[0].kept_in).unwrap(), line.as_bytes(), "{why}");
        assert_eq!(daemon.data.set_aside().len(), before.len() + 1, "{why}");
        // But for how late it is for it.
        let (left, kept) = (fs::read_to_string(daemon.file()).unwrap(), good.split(" seen=").next().unwrap());
        assert!(left.starts_with(kept) && left.lines().count() == 1, "{why}: {left}");
        assert_eq!(store.tokens(moment()).len(), 1, "{why}");
        assert_eq!(daemon.data.open().tokens(moment()).len(), 1, "{why}: the second time");
    }
    let left = [one, other].iter().filter(|token| good.starts_with(&token.token.id.to_string())).count();
    assert_eq!(left, 1);
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_no_tokens() {
    let daemon = Daemon::new();
    daemon.create(moment());
    fs::remove_file(daemon.file()).unwrap();
    fs::create_dir(daemon.file()).unwrap();
    let cannot_be_read = |error| matches!(error, Some(StoreError::File(FileError::Read { path, .. })) if path == daemon.file());
    assert!(cannot_be_read(daemon.data.try_open().err()));
    assert!(cannot_be_read(daemon.store.reload().err()));
    assert_eq!(daemon.tokens(moment()), 1, "what was known stays in force");
    fs::remove_dir(daemon.file()).unwrap();
    fs::write(daemon.file(), vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    assert!(cannot_be_read(daemon.data.try_open().err()));
    fs::write(daemon.file(), vec![b'\n'; 1024 * 1024]).unwrap();
    daemon.store.reload().unwrap();
    assert_eq!(daemon.tokens(moment()), 0);
}

#[test]
fn roots_tokens_end_with_no_client() {
    let daemon = Daemon::new();
    let by = daemon
        .authority
        .administrator(&auth_core::Caller { certificate: None, ..root(&daemon.alice) })
        .unwrap();
    assert_eq!(by.actor(), Actor::Administrator);
    let token = create(&daemon.authority, &by, Level::Full, moment()).unwrap();
    daemon.authority.revoke(&by, daemon.alice.fingerprint(), now()).unwrap();
    assert!(daemon.store.is_empty());
    assert_eq!(redeem(&daemon.authority, &certificate("bob"), &token, moment()).unwrap(), Level::Full);
    assert!(!daemon.store.is_armed());
}
