//! What clients have been told of a service, and what may therefore be true of it after a crash.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::{Code, Status};

use crate::peer::Identity;

/// What is known of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Trusted,
    Stranger,
    /// A change was on its way when the service was gone.
    Uncertain,
}

/// What came of a change.
enum Answer {
    Made,
    Refused,
    Unknown,
}

impl Answer {
    fn of(result: &Result<(), Status>) -> Self {
        let Err(status) = result else { return Self::Made };
        match status.code() {
            Code::Unauthenticated
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::NotFound => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// Shared by all who change something.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    clients: HashMap<String, (Arc<Identity>, Standing)>,
    /// One of these is the passphrase; `None` is none at all.
    passphrases: BTreeSet<Option<String>>,
    /// How often a passphrase was certainly set.
    set: usize,
    /// Who was certainly trusted, at any time, and whose trust was certainly ended.
    enrolled: HashSet<String>,
    revoked: HashSet<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            clients: HashMap::new(),
            passphrases: BTreeSet::from([None]),
            set: 0,
            enrolled: HashSet::new(),
            revoked: HashSet::new(),
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new client, of whom nobody has heard.
    pub(super) fn newcomer(&self) -> Arc<Identity> {
        let identity = Arc::new(Identity::new());
        let entry = (Arc::clone(&identity), Standing::Stranger);
        self.lock().clients.insert(identity.fingerprint.clone(), entry);
        identity
    }

    /// Makes a change by which a client becomes `standing`. Between its beginning and its answer nothing is
    /// certain.
    pub(super) async fn change(
        &self,
        client: &Identity,
        standing: Standing,
        call: impl Future<Output = Result<(), Status>>,
    ) -> Result<(), Status> {
        let before = self.lock().stand(client, Standing::Uncertain);
        let result = call.await;
        let mut state = self.lock();
        match Answer::of(&result) {
            Answer::Made => {
                state.stand(client, standing);
                match standing {
                    Standing::Trusted => state.enrolled.insert(client.fingerprint.clone()),
                    _ => state.revoked.insert(client.fingerprint.clone()),
                };
            }
            Answer::Refused => {
                state.stand(client, before);
            }
            Answer::Unknown => {}
        }
        result
    }

    /// Sets the passphrase.
    pub(super) async fn change_passphrase(
        &self,
        passphrase: Option<String>,
        call: impl Future<Output = Result<(), Status>>,
    ) -> Result<(), Status> {
        self.lock().passphrases.insert(passphrase.clone());
        let result = call.await;
        let mut state = self.lock();
        match Answer::of(&result) {
            Answer::Made => {
                state.set += usize::from(passphrase.is_some());
                state.passphrases = BTreeSet::from([passphrase]);
            }
            Answer::Refused => {
                state.passphrases.remove(&passphrase);
            }
            Answer::Unknown => {}
        }
        result
    }

    /// Those of whom this is known.
    pub(super) fn all(&self, standing: Standing) -> Vec<Arc<Identity>> {
        let state = self.lock();
        let mut all: Vec<_> = state
            .clients
            .values()
            .filter(|(_, found)| *found == standing)
            .map(|(identity, _)| Arc::clone(identity))
            .collect();
        all.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
        all
    }

    /// Whether anybody was ever trusted, for certain.
    pub(super) fn somebody_was_enrolled(&self) -> bool {
        !self.lock().enrolled.is_empty()
    }

    pub(super) fn enrolled(&self) -> HashSet<String> {
        self.lock().enrolled.clone()
    }

    pub(super) fn revoked(&self) -> HashSet<String> {
        self.lock().revoked.clone()
    }

    pub(super) fn times_set(&self) -> usize {
        self.lock().set
    }

    /// What the passphrase may be.
    pub(super) fn passphrases(&self) -> Vec<Option<String>> {
        self.lock().passphrases.iter().cloned().collect()
    }

    /// That it is this one.
    pub(super) fn settle_passphrase(&self, passphrase: Option<String>) {
        self.lock().passphrases = BTreeSet::from([passphrase]);
    }

    /// Compares with who is trusted, and knows them from then on. Returns what is wrong.
    pub(super) fn settle(&self, trusted: &[String]) -> Vec<String> {
        let mut state = self.lock();
        let mut wrong = Vec::new();
        for client in trusted.iter().filter(|client| !state.clients.contains_key(*client)) {
            wrong.push(format!("{client} is trusted, and nobody knows it"));
        }
        let found: HashSet<&String> = trusted.iter().collect();
        if found.len() != trusted.len() {
            wrong.push(format!("somebody is trusted twice: {trusted:?}"));
        }
        for (client, (_, standing)) in &mut state.clients {
            let now = if found.contains(client) { Standing::Trusted } else { Standing::Stranger };
            if *standing != Standing::Uncertain && *standing != now {
                wrong.push(format!("{client} was {standing:?} and is {now:?}"));
            }
            *standing = now;
        }
        state.enrolled.extend(trusted.iter().cloned());
        wrong
    }
}

impl State {
    fn stand(&mut self, client: &Identity, standing: Standing) -> Standing {
        let known = self.clients.get_mut(&client.fingerprint).expect("a known client");
        std::mem::replace(&mut known.1, standing)
    }
}
