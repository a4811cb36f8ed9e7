//! What a store knows at one moment, whatever it keeps it in.

use std::collections::HashSet;

use super::{Change, Condition};
use crate::{Actor, Fingerprint, PassphraseHash};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Those that are trusted.
    pub(super) clients: HashSet<Fingerprint>,
    pub(super) passphrase: Option<PassphraseHash>,
    /// Whether the first client is awaited.
    pub(super) armed: bool,
}

impl State {
    /// Whether a change may be made.
    pub(super) fn permits(&self, change: &Change<'_>) -> bool {
        match change {
            Change::Enrol(enrolment) => match &enrolment.condition {
                Condition::FirstClient | Condition::FirstByInstaller => self.armed,
                Condition::PassphraseIs(hash) => self.passphrase.as_ref() == Some(hash),
                Condition::WantedBy(actor) => self.trusts(*actor),
            },
            Change::Revoke { client, by, .. } => self.trusts(*by) && self.clients.contains(client),
            Change::SetPassphrase { by, .. } => self.trusts(*by),
            Change::AwaitFirst => self.clients.is_empty(),
        }
    }

    /// Whether whoever wants a change may still want it: between the question and the change, a client may
    /// have been revoked.
    pub(super) fn trusts(&self, actor: Actor) -> bool {
        match actor {
            Actor::Client(client) => self.clients.contains(&client),
            Actor::Administrator => true,
        }
    }

    /// Makes a change that is permitted.
    pub(super) fn apply(&mut self, change: &Change<'_>) {
        match change {
            Change::Enrol(enrolment) => {
                self.clients.insert(enrolment.certificate.fingerprint());
                self.armed = false;
            }
            Change::Revoke { client, .. } => {
                self.clients.remove(client);
            }
            Change::SetPassphrase { passphrase, .. } => self.passphrase.clone_from(passphrase),
            Change::AwaitFirst => self.armed = true,
        }
    }
}
