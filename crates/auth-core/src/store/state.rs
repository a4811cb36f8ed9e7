//! What a store knows at one moment, whatever it keeps it in.

use std::collections::HashSet;

use super::Condition;
use crate::{Fingerprint, PassphraseHash};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) clients: HashSet<Fingerprint>,
    pub(super) passphrase: Option<PassphraseHash>,
    /// Whether the first client is awaited.
    pub(super) armed: bool,
}

impl State {
    pub(super) fn satisfies(&self, condition: &Condition) -> bool {
        match condition {
            Condition::FirstClient => self.armed,
            Condition::PassphraseIs(hash) => self.passphrase.as_ref() == Some(hash),
        }
    }

    pub(super) fn enrol(&mut self, client: Fingerprint) {
        self.clients.insert(client);
        self.armed = false;
    }
}
