//! Callers who come at once: of all first clients one, of all others everyone.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::thread;

use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{
    Admission, Authority, Change, ClientCertificate, Denied, Fingerprint, InvalidToken, Level, Moment,
    Outcome, PassphraseHash, StoreError, Token, TokenHash, TrustStore, TrustedClient,
};

use crate::support::{Data, RULE, by_passphrase, certificate, enrol, now, root};

const CALLERS: usize = 16;
const ROUNDS: usize = 50;

static CLIENTS: LazyLock<Vec<ClientCertificate>> =
    LazyLock::new(|| (0..CALLERS).map(|n| certificate(&format!("client-{n}"))).collect());

fn authority(store: impl TrustStore + 'static) -> Authority {
    Authority::new(Arc::new(store), Box::new(NoGate), RULE, Arc::new(NoAudit))
}

/// Those of the sixteen whom a daemon trusts.
fn trusted(daemon: &Authority) -> HashSet<Fingerprint> {
    let trusted = CLIENTS.iter().filter_map(|client| daemon.recognise(&root(client)).ok());
    trusted.map(|authenticated| authenticated.client()).collect()
}

/// All sixteen claim at once to be the first client, in turn at each of `daemons`. Gives those who were
/// told that they are; the others must have been told that they are not.
fn race(daemons: &[Authority]) -> HashSet<Fingerprint> {
    let start = Barrier::new(CALLERS);
    thread::scope(|scope| {
        let callers: Vec<_> = CLIENTS
            .iter()
            .zip(daemons.iter().cycle())
            .map(|(client, daemon)| {
                let start = &start;
                scope.spawn(move || {
                    let claim = match daemon.admit(&root(client)) {
                        Ok(Admission::FirstClient(claim)) => claim,
                        other => panic!("no claim: {other:?}"),
                    };
                    start.wait();
                    match daemon.enrol_first(&claim, now()) {
                        Ok(authenticated) => {
                            assert_eq!(authenticated.client(), client.fingerprint());
                            Some(authenticated.client())
                        }
                        Err(Denied::NotFirst) => None,
                        Err(other) => panic!("neither enrolled nor late: {other:?}"),
                    }
                })
            })
            .collect();
        callers.into_iter().filter_map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn of_sixteen_in_memory_one_is_first() {
    for round in 0..ROUNDS {
        let daemon = authority(MemoryStore::new());
        let enrolled = race(std::slice::from_ref(&daemon));
        assert_eq!(enrolled.len(), 1, "round {round}");
        assert_eq!(trusted(&daemon), enrolled, "round {round}");
    }
}

#[test]
fn of_sixteen_on_disk_one_is_first() {
    for round in 0..ROUNDS {
        let data = Data::new();
        let daemon = authority(data.open());
        let enrolled = race(std::slice::from_ref(&daemon));
        assert_eq!(enrolled.len(), 1, "round {round}");
        assert_eq!(trusted(&daemon), enrolled, "round {round}");
        assert_eq!(trusted(&authority(data.open())), enrolled, "round {round}, after a restart");
    }
}

#[test]
fn of_sixteen_at_two_daemons_over_one_directory_one_is_first() {
    for round in 0..ROUNDS {
        let data = Data::new();
        let daemons = [authority(data.open()), authority(data.open())];
        let enrolled = race(&daemons);
        assert_eq!(enrolled.len(), 1, "round {round}");
        // The other daemon has learned of it too.
        for daemon in &daemons {
            assert_eq!(trusted(daemon), enrolled, "round {round}");
        }
        assert_eq!(trusted(&authority(data.open())), enrolled, "round {round}, after a restart");
    }
}

/// The mistake that the race must show: it looks whether somebody was first, and then adds.
#[derive(Debug)]
struct CheckThenAdd {
    armed: AtomicBool,
    clients: Mutex<HashSet<Fingerprint>>,
    /// Everyone has looked before anyone adds.
    gap: Barrier,
}

impl TrustStore for CheckThenAdd {
    fn level(&self, client: &Fingerprint) -> Option<Level> {
        self.clients.lock().unwrap().contains(client).then_some(Level::Full)
    }

    fn is_empty(&self) -> bool {
        self.clients.lock().unwrap().is_empty()
    }

    fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    fn passphrase(&self) -> Option<PassphraseHash> {
        None
    }

    fn token(&self, _hash: &TokenHash) -> Result<Token, InvalidToken> {
        Err(InvalidToken::Unknown)
    }

    fn tokens(&self, _at: Moment) -> Vec<Token> {
        Vec::new()
    }

    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
        Ok(Vec::new())
    }

    fn change(
        &self,
        change: &Change<'_>,
        _record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        let Change::Enrol(enrolment) = change else { return Ok(Outcome::ConditionFailed) };
        let armed = self.is_armed();
        self.gap.wait();
        if !armed {
            return Ok(Outcome::ConditionFailed);
        }
        self.clients.lock().unwrap().insert(enrolment.certificate.fingerprint());
        self.armed.store(false, Ordering::SeqCst);
        Ok(Outcome::Changed)
    }
}

#[test]
fn the_race_shows_a_store_that_checks_and_then_adds() {
    let store = CheckThenAdd { armed: true.into(), clients: Mutex::default(), gap: Barrier::new(CALLERS) };
    let daemon = authority(store);
    let enrolled = race(std::slice::from_ref(&daemon));
    assert_eq!(enrolled.len(), CALLERS, "the race can be lost, so that the tests above can fail");
    assert_eq!(trusted(&daemon), enrolled);
}

#[test]
fn sixteen_by_passphrase_at_two_daemons_are_all_stored() {
    let data = Data::new();
    let stores = [data.open(), data.open()];
    let condition = by_passphrase(&stores[0]);
    let start = Barrier::new(CALLERS);
    thread::scope(|scope| {
        for (client, store) in CLIENTS.iter().zip(stores.iter().cycle()) {
            let (start, condition) = (&start, &condition);
            scope.spawn(move || {
                start.wait();
                enrol(store, condition, client);
            });
        }
    });
    assert_eq!(data.blocks(), CALLERS);
    assert_eq!(trusted(&authority(data.open())).len(), CALLERS);
}
