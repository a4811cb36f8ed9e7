//! A store that forgets when the process ends: for tests and for models of the protocol.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Condition, Enrolment, Outcome, StoreError, TrustStore};
use crate::{Fingerprint, PassphraseHash};

/// A trust store in memory.
#[derive(Debug)]
pub struct MemoryStore(RwLock<State>);

/// What a store knows. The file store keeps one too, as what it has last read or written.
#[derive(Debug)]
pub(super) struct State {
    pub(super) clients: HashSet<Fingerprint>,
    pub(super) passphrase: Option<PassphraseHash>,
    pub(super) armed: bool,
}

impl State {
    pub(super) fn satisfies(&self, condition: &Condition) -> bool {
        match condition {
            Condition::FirstClient => self.armed,
            Condition::PassphraseIs(hash) => self.passphrase.as_ref() == Some(hash),
        }
    }
}

impl MemoryStore {
    /// An empty store that awaits its first client.
    #[must_use]
    pub fn new() -> Self {
        Self(RwLock::new(State { clients: HashSet::new(), passphrase: None, armed: true }))
    }

    // A panic cannot leave the state half changed: each change is one assignment.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TrustStore for MemoryStore {
    fn contains(&self, client: &Fingerprint) -> bool {
        self.read().clients.contains(client)
    }

    fn is_empty(&self) -> bool {
        self.read().clients.is_empty()
    }

    fn is_armed(&self) -> bool {
        self.read().armed
    }

    fn passphrase(&self) -> Option<PassphraseHash> {
        self.read().passphrase.clone()
    }

    fn enrol_if(&self, condition: &Condition, enrolment: &Enrolment<'_>) -> Result<Outcome, StoreError> {
        let mut state = self.write();
        if !state.satisfies(condition) {
            return Ok(Outcome::ConditionFailed);
        }
        state.clients.insert(enrolment.certificate.fingerprint());
        state.armed = false;
        Ok(Outcome::Enrolled)
    }

    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError> {
        self.write().passphrase = passphrase;
        Ok(())
    }
}
