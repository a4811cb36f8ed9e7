//! A store that forgets when the process ends: for tests and for models of the protocol.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::state::State;
use super::{Condition, Enrolment, Outcome, StoreError, TrustStore};
use crate::{Fingerprint, PassphraseHash};

/// A trust store in memory.
#[derive(Debug)]
pub struct MemoryStore(RwLock<State>);

impl MemoryStore {
    /// An empty store that awaits its first client.
    #[must_use]
    pub fn new() -> Self {
        Self(RwLock::new(State { armed: true, ..State::default() }))
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
        state.enrol(enrolment.certificate.fingerprint());
        Ok(Outcome::Enrolled)
    }

    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError> {
        self.write().passphrase = passphrase;
        Ok(())
    }
}
