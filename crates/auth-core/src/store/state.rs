//! What a store knows at one moment, whatever it keeps it in.

use std::collections::HashMap;

use super::{Change, Condition};
use crate::{Actor, Fingerprint, Level, PassphraseHash};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Those that are trusted, each at its level.
    pub(super) clients: HashMap<Fingerprint, Level>,
    pub(super) passphrase: Option<PassphraseHash>,
    /// Whether anybody ever said whether there is a passphrase.
    pub(super) passphrase_is_decided: bool,
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
                Condition::WantedBy(actor) => {
                    let now = self.clients.get(&enrolment.certificate.fingerprint());
                    self.obeys(*actor) && now.is_none_or(|level| *level == enrolment.level)
                }
            },
            Change::Revoke { client, by, .. } => {
                (self.obeys(*by) || *by == Actor::Client(*client)) && self.clients.contains_key(client)
            }
            Change::SetLevel { client, by, .. } | Change::Rename { client, by, .. } => {
                self.obeys(*by) && self.clients.contains_key(client)
            }
            Change::SetPassphrase { by, .. } => self.obeys(*by),
            Change::AwaitFirst => self.clients.is_empty(),
            Change::TakeOver(what) => what.is_permitted(self),
        }
    }

    /// Whether whoever wants a change may still want it: between the question and the change, a client may
    /// have been revoked, or its level lowered.
    pub(super) fn obeys(&self, actor: Actor) -> bool {
        match actor {
            Actor::Client(client) => self.clients.get(&client) == Some(&Level::Full),
            Actor::Administrator => true,
        }
    }

    /// Makes a change that is permitted.
    pub(super) fn apply(&mut self, change: &Change<'_>) {
        match change {
            Change::Enrol(enrolment) => {
                self.clients.insert(enrolment.certificate.fingerprint(), enrolment.level);
                self.armed = false;
            }
            Change::Revoke { client, .. } => {
                self.clients.remove(client);
            }
            Change::SetLevel { client, level, .. } => {
                self.clients.insert(*client, *level);
            }
            Change::Rename { .. } => {}
            Change::SetPassphrase { passphrase, .. } => {
                self.passphrase.clone_from(passphrase);
                self.passphrase_is_decided = true;
            }
            Change::AwaitFirst => self.armed = true,
            Change::TakeOver(what) => what.apply(self),
        }
    }
}
