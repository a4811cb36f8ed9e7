//! The changes by which a store takes over what a stock service has left.

use std::time::SystemTime;

use super::revoked::Revoked;
use super::state::State;
use crate::{ClientCertificate, Event, Level, PassphraseHash};

/// What is taken over.
#[derive(Debug)]
pub enum TakeOver<'a> {
    /// Clients, all of them or none, at the full level. On the condition that none of them is trusted, or was
    /// revoked.
    Clients {
        /// Their certificates.
        certificates: &'a [ClientCertificate],
        /// The moment, for the record.
        at: SystemTime,
    },
    /// The passphrase's hash. On the condition that nobody ever said here whether there is a passphrase.
    Passphrase(PassphraseHash),
    /// A hash of our own in the place of the stock service's, of the same passphrase. On the condition that it is
    /// still that one.
    Rehash {
        /// The stock service's.
        stock: PassphraseHash,
        /// Ours.
        own: PassphraseHash,
    },
}

impl TakeOver<'_> {
    pub(super) fn is_permitted(&self, state: &State) -> bool {
        match self {
            Self::Clients { certificates, .. } => {
                certificates.iter().all(|client| !state.clients.contains_key(&client.fingerprint()))
            }
            Self::Passphrase(_) => !state.passphrase_is_decided,
            Self::Rehash { stock, .. } => state.passphrase.as_ref() == Some(stock),
        }
    }

    /// Whether somebody who was revoked would be let in by it.
    pub(super) fn brings_back(&self, revoked: &Revoked) -> bool {
        let Self::Clients { certificates, .. } = self else { return false };
        certificates.iter().any(|client| revoked.contains_key(&client.fingerprint()))
    }

    pub(super) fn apply(&self, state: &mut State) {
        match self {
            Self::Clients { certificates, .. } => {
                state.armed &= certificates.is_empty();
                let clients = certificates.iter().map(|client| (client.fingerprint(), Level::Full));
                state.clients.extend(clients);
            }
            Self::Passphrase(hash) | Self::Rehash { own: hash, .. } => {
                state.passphrase = Some(hash.clone());
                state.passphrase_is_decided = true;
            }
        }
    }

    /// What is written down of it; of clients, once for each.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Clients { .. } => Event::ClientMigrated,
            Self::Passphrase(_) => Event::PassphraseMigrated,
            Self::Rehash { .. } => Event::PassphraseRehashed,
        }
    }
}
