//! A store that forgets when the process ends: for tests and for models of the protocol.

use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::state::State;
use super::{Change, Outcome, StoreError, TrustStore, TrustedClient};
use crate::{Fingerprint, InvalidToken, Level, Moment, PassphraseHash, Token, TokenHash};

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
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TrustStore for MemoryStore {
    fn level(&self, client: &Fingerprint) -> Option<Level> {
        self.read().clients.get(client).copied()
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

    fn token(&self, hash: &TokenHash) -> Result<Token, InvalidToken> {
        self.read().token(hash)
    }

    fn tokens(&self, at: Moment) -> Vec<Token> {
        self.read().live_tokens(at).cloned().collect()
    }

    /// Who is trusted, and nothing else of them.
    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
        let state = self.read();
        Ok(state.clients.iter().map(|(client, level)| TrustedClient::unknown(*client, *level)).collect())
    }

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !state.permits(change) {
            state.apply_refusal(change);
            return Ok(Outcome::ConditionFailed);
        }
        record().map_err(StoreError::NotRecorded)?;
        state.apply(change);
        Ok(Outcome::Changed)
    }
}
