//! What a stock service has left: its clients and its passphrase, taken over, and handed back.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{
    Actor, Audit, Authority, Change, ClientCertificate, Denied, Entry, Fingerprint, HashError, Level,
    Migration, Outcome, PassphraseHash, StoreError, TakeOver, TrustStore,
};

use crate::support::{
    Bench, Data, KINDS, Kind, RULE, Unrecorded, authenticate, certificate, now, passphrase, stranger,
};

/// As a stock service has them, by Python's `hashlib.scrypt(TEXT[:LETTERS], salt=b"", n=2**14, r=8, p=1)` with the
/// bytes of the text, and its number of letters.
const OPEN_SESAME: &str = "d3d50625dff1ea310580a6bf39c84da33e9055038520d7ef2c9de541320c55621f4e52f372522a5bf033bc\
                           929a7902a0685e157367191b15b01fa7e4ff402e24";
const CUT: &str = "0b8df95f6969c70104fc19bcef8d477571b7a142c7429524ddf785065e71e4633068eed4e7c5b53c2f61d95ee558c886befb2cafbc4b53361aecfa1b174696d8";

fn stock(digits: &str) -> PassphraseHash {
    PassphraseHash::from_stock(digits).unwrap()
}

fn take_passphrase_over(store: &dyn TrustStore, digits: &str) -> Outcome {
    store.make(&Change::TakeOver(TakeOver::Passphrase(stock(digits)))).unwrap()
}

/// A store of this kind with a stock service's passphrase and one client.
fn bench(kind: Kind, digits: &str) -> Bench {
    let data = matches!(kind, Kind::File).then(Data::new);
    let store: Box<dyn TrustStore> = match &data {
        Some(data) => Box::new(data.open()),
        None => Box::new(MemoryStore::new()),
    };
    assert_eq!(take_passphrase_over(&*store, digits), Outcome::Changed);
    Bench::over(store, data, RULE)
}

#[test]
fn the_stock_services_passphrase_lets_in_and_its_hash_gives_way_at_the_first_success() {
    for kind in KINDS {
        let bench = bench(kind, OPEN_SESAME);
        let [a, b] = ["a", "b"].map(certificate);
        let denied = authenticate(&bench.authority, &stranger(&a), "open sesamE").unwrap_err();
        assert!(matches!(denied, Denied::WrongPassphrase), "{denied:?}");
        assert!(bench.authority.passphrase_hash_is_stocks(), "a failure changes nothing");
        assert_eq!(bench.events(), [""; 0]);

        authenticate(&bench.authority, &stranger(&a), "open sesame").unwrap();
        assert_eq!(bench.events(), ["passphrase_accepted", "stored", "opened", "passphrase_rehashed"]);
        assert!(!bench.authority.passphrase_hash_is_stocks());
        assert!(bench.store.passphrase().unwrap().matches(&passphrase("open sesame")));
        if let Some(data) = &bench.data {
            let text = fs::read_to_string(data.passphrase()).unwrap();
            assert!(text.starts_with("$argon2id$"), "{text}");
            assert!(!data.open().passphrase().unwrap().is_stocks());
        }
        // The stock service's can be put back by nothing.
        assert_eq!(take_passphrase_over(&bench.store, OPEN_SESAME), Outcome::ConditionFailed);
        authenticate(&bench.authority, &stranger(&b), "open sesame").unwrap();
        assert_eq!(bench.events(), ["passphrase_accepted", "stored", "opened"]);
    }
}

#[test]
fn wrong_guesses_are_slowed_down_as_over_a_hash_of_ours() {
    let bench = bench(Kind::Memory, OPEN_SESAME);
    let a = certificate("a");
    for _ in 0..4 {
        let denied = authenticate(&bench.authority, &stranger(&a), "guess").unwrap_err();
        assert!(matches!(denied, Denied::WrongPassphrase), "{denied:?}");
    }
    let denied = authenticate(&bench.authority, &stranger(&a), "open sesame").unwrap_err();
    assert!(matches!(denied, Denied::TooManyGuesses { .. }), "{denied:?}");
    assert!(!bench.store.contains(&a.fingerprint()));
}

/// The stock service hashed the first bytes of it alone, and so do we; but what was given may be another one, and
/// does not become the passphrase.
#[test]
fn a_passphrase_that_the_stock_service_cut_lets_in_and_stays_as_it_is() {
    let bench = bench(Kind::File, CUT);
    for (name, text, is_let_in) in [
        ("a", "Käsebrötchen", true),
        // A slip in the end, beyond what was hashed.
        ("b", "Käsebrötcheм", true),
        ("c", "Kasebrötchen", false),
    ] {
        let result = authenticate(&bench.authority, &stranger(&certificate(name)), text);
        assert_eq!(result.is_ok(), is_let_in, "{text}: {result:?}");
        assert!(bench.authority.passphrase_hash_is_stocks(), "{text}");
    }
}

#[test]
fn whoever_gives_the_passphrase_while_the_hash_is_replaced_is_let_in() {
    const CALLERS: usize = 4;
    let store = Arc::new(MemoryStore::new());
    take_passphrase_over(&*store, OPEN_SESAME);
    let authority = Authority::new(store, Box::new(NoGate), RULE, Arc::new(NoAudit));
    let guesses: Vec<_> = (0..CALLERS)
        .map(|number| {
            let caller = stranger(&certificate(&number.to_string()));
            authority.begin_guess(&caller, passphrase("open sesame"), std::time::Instant::now()).unwrap()
        })
        .collect();
    let ready = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        let calls: Vec<_> = guesses
            .into_iter()
            .map(|guess| {
                scope.spawn(|| {
                    ready.wait();
                    authority.authenticate(guess, now()).unwrap();
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
    });
    assert!(!authority.passphrase_hash_is_stocks());
}

/// Each holds the stock service's hash, and is evaluated after it has gone.
#[test]
fn a_guess_that_was_begun_before_the_hash_was_replaced_is_judged_by_the_new_one() {
    let bench = bench(Kind::File, OPEN_SESAME);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(certificate);
    let begin = |client: &ClientCertificate, text: &str| {
        bench.authority.begin_guess(&stranger(client), passphrase(text), std::time::Instant::now()).unwrap()
    };
    let (right, late) = (begin(&a, "open sesame"), begin(&b, "open sesame"));
    authenticate(&bench.authority, &stranger(&c), "open sesame").unwrap();
    bench.authority.authenticate(right, now()).unwrap();
    assert!(bench.store.contains(&a.fingerprint()));

    // Once it was changed, or unset, the stock service's is worth nothing.
    let other = PassphraseHash::of(&passphrase("another one")).unwrap();
    bench.store.set_passphrase(Some(other)).unwrap();
    assert!(matches!(bench.authority.authenticate(late, now()), Err(Denied::WrongPassphrase)));
    let fresh = self::bench(Kind::File, OPEN_SESAME);
    let guess =
        fresh.authority.begin_guess(&stranger(&d), passphrase("open sesame"), std::time::Instant::now());
    fresh.store.set_passphrase(None).unwrap();
    assert!(matches!(fresh.authority.authenticate(guess.unwrap(), now()), Err(Denied::WrongPassphrase)));
    assert!(fresh.store.passphrase().is_none());
}

#[test]
fn what_was_said_here_about_the_passphrase_wins() {
    let own = || PassphraseHash::of(&passphrase("our own")).unwrap();
    for (said, why) in [(Some(own()), "set"), (None, "unset")] {
        for kind in KINDS {
            let data = Data::new();
            let store: Box<dyn TrustStore> = match kind {
                Kind::File => Box::new(data.open()),
                Kind::Memory => Box::new(MemoryStore::new()),
            };
            store.set_passphrase(said.clone()).unwrap();
            assert_eq!(
                take_passphrase_over(&*store, OPEN_SESAME),
                Outcome::ConditionFailed,
                "{why} {kind:?}"
            );
            assert!(store.passphrase() == said, "{why} {kind:?}");
        }
    }
    // Nor does it come back after it was taken over, and unset.
    let data = Data::new();
    assert_eq!(take_passphrase_over(&data.open(), OPEN_SESAME), Outcome::Changed);
    data.open().set_passphrase(None).unwrap();
    assert_eq!(take_passphrase_over(&data.open(), OPEN_SESAME), Outcome::ConditionFailed);
    assert!(data.open().passphrase().is_none());
}

#[test]
fn a_hash_taken_over_is_stored_and_not_shown() {
    let data = Data::new();
    take_passphrase_over(&data.open(), &OPEN_SESAME.to_uppercase());
    assert_eq!(fs::read_to_string(data.passphrase()).unwrap(), format!("stock-scrypt:{OPEN_SESAME}\n"));
    let store = data.open();
    let hash = store.passphrase().unwrap();
    assert!(hash == stock(OPEN_SESAME) && hash.is_stocks());
    let shown = format!("{hash:?} {store:?} {:?}", TakeOver::Passphrase(hash.clone()));
    assert!(!shown.contains(&OPEN_SESAME[..16]) && shown.contains("redacted"), "{shown}");
    for (text, why) in [
        (format!("stock-scrypt:{}", &OPEN_SESAME[1..]), "too short"),
        (OPEN_SESAME.to_owned(), "without its mark"),
        (format!("stock-scrypt:{OPEN_SESAME} 20 8 1"), "with a cost"),
    ] {
        fs::write(data.passphrase(), text).unwrap();
        let error = data.try_open().unwrap_err();
        assert!(matches!(error, StoreError::NotAPassphraseHash { .. }), "{why}: {error:?}");
    }
    assert!(matches!(PassphraseHash::from_stock("open sesame"), Err(HashError::NotStock)));
}

/// Remembers what was written down, up to as much as there is room for.
#[derive(Debug, Default)]
struct Written {
    entries: Mutex<Vec<(&'static str, Option<Fingerprint>)>>,
    room: Option<usize>,
}

impl Audit for Written {
    fn record(&self, entry: &Entry<'_>) -> std::io::Result<()> {
        let mut entries = self.entries.lock().unwrap();
        assert_eq!((entry.by, entry.from), (Actor::Administrator, None));
        if self.room.is_some_and(|room| entries.len() >= room) && entry.event.name() != "not_stored" {
            return Err(std::io::Error::other("it is full"));
        }
        entries.push((entry.event.name(), entry.client));
        Ok(())
    }
}

impl Written {
    fn take(&self) -> Vec<(&'static str, Option<Fingerprint>)> {
        std::mem::take(&mut self.entries.lock().unwrap())
    }
}

#[test]
fn clients_are_taken_over_at_once_and_nobodys_trust_is_changed() {
    let data = Data::new();
    let store = data.open();
    let audit = Written::default();
    let migration = Migration { store: &store, audit: &audit };
    let [new, known, reader, revoked, other] =
        ["new", "known", "reader", "revoked", "other"].map(certificate);
    let by = auth_core::Condition::WantedBy(Actor::Administrator);
    for client in [&known, &revoked, &other] {
        crate::support::enrol(&store, &by, client);
    }
    store.add_read_only(&reader).unwrap();
    store.revoke(&revoked).unwrap();

    let all = [&new, &known, &reader, &revoked, &new].map(Clone::clone);
    let result = migration.clients(&all, now()).unwrap();
    assert_eq!(result.taken, [new.fingerprint()]);
    assert_eq!(result.known, [known.fingerprint(), reader.fingerprint()]);
    assert_eq!(result.revoked, [revoked.fingerprint()]);
    assert_eq!(audit.take(), [("client_migrated", Some(new.fingerprint()))]);
    let text = data.text();
    for store in [&store, &data.open()] {
        let levels =
            [&new, &known, &reader, &revoked, &other].map(|client| store.level(&client.fingerprint()));
        let full = Some(Level::Full);
        assert_eq!(levels, [full, full, Some(Level::ReadOnly), None, full]);
        let told = store.clients().unwrap();
        let told = told.iter().find(|client| client.fingerprint == new.fingerprint()).unwrap();
        assert_eq!(told.how.as_deref(), Some("migrated"));
        assert_eq!(told.added.as_deref(), Some("2023-11-14T22:13:20Z"));
    }

    // Again: nothing to do, nothing written.
    let again = migration.clients(&all, now()).unwrap();
    assert_eq!((again.taken.len(), again.known.len(), again.revoked.len()), (0, 3, 1));
    assert_eq!((audit.take(), data.text()), (vec![], text));
}

#[test]
fn somebody_was_enrolled_then() {
    let data = Data::new();
    let store = data.open();
    assert!(store.is_armed());
    let migration = Migration { store: &store, audit: &NoAudit };
    migration.clients(&[], now()).unwrap();
    assert!(store.is_armed(), "nobody was");
    migration.clients(&[certificate("a")], now()).unwrap();
    assert!(!store.is_armed());
    fs::remove_file(data.clients()).unwrap();
    assert!(!data.open().is_armed(), "an emptied store makes nobody the first client");
}

#[test]
fn what_cannot_be_written_down_is_not_done_for_any_of_them() {
    let data = Data::new();
    let store = data.open();
    let audit = Written { room: Some(1), ..Written::default() };
    let migration = Migration { store: &store, audit: &audit };
    let clients = ["a", "b"].map(certificate);
    let error = migration.clients(&clients, now()).unwrap_err();
    assert!(matches!(error, StoreError::NotRecorded(_)), "{error:?}");
    let first = Some(clients[0].fingerprint());
    assert_eq!(audit.take(), [("client_migrated", first), ("not_stored", first)]);
    assert!(store.is_empty() && store.is_armed() && !data.clients().exists());
}

/// The condition is that of the moment at which it is done, by the disk.
#[test]
fn who_was_revoked_meanwhile_is_not_brought_back() {
    let data = Data::new();
    let (store, other) = (data.open(), data.open());
    let (a, b) = (certificate("a"), certificate("b"));
    crate::support::enrol(&other, &auth_core::Condition::FirstClient, &a);
    other.revoke(&a).unwrap();
    let certificates = [a.clone(), b.clone()];
    let change = Change::TakeOver(TakeOver::Clients { certificates: &certificates, at: now() });
    assert_eq!(store.make(&change).unwrap(), Outcome::ConditionFailed);
    assert!(!store.contains(&b.fingerprint()), "all or none");
    let result = Migration { store: &store, audit: &NoAudit }.clients(&certificates, now()).unwrap();
    assert_eq!((result.taken, result.revoked), (vec![b.fingerprint()], vec![a.fingerprint()]));
}

/// The stock service reads the trust file whole: what stands between BEGIN and END is a certificate, the rest
/// nothing. By another PEM reader than ours.
fn stock_reads(trust_file: &Path) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(fs::read(trust_file).unwrap()).unwrap();
    blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(|block| block.contents().to_vec())
        .collect()
}

#[test]
fn a_directory_is_handed_back_with_those_who_may_do_everything() {
    let der = |name| crate::support::der(name);
    let [stocks, migrated, passphrases, reader, revoked] = ["s", "m", "p", "r", "v"].map(der);
    let client = |der: &Vec<u8>| ClientCertificate::from_der(der.clone()).unwrap();
    let data = Data::with_clients(client(&stocks).to_pem().replace('\n', "\r\n"));
    take_passphrase_over(&data.open(), OPEN_SESAME);
    let store = Arc::new(data.open());
    Migration { store: &store, audit: &NoAudit }.clients(&[client(&migrated)], now()).unwrap();
    let authority = Authority::new(Arc::clone(&store) as _, Box::new(NoGate), RULE, Arc::new(NoAudit));
    for der in [&passphrases, &revoked] {
        authenticate(&authority, &stranger(&client(der)), "open sesame").unwrap();
    }
    store.add_read_only(&client(&reader)).unwrap();
    store.revoke(&client(&revoked)).unwrap();
    assert_eq!(stock_reads(&data.clients()), [stocks, migrated, passphrases]);
}
