//! Taking over from a stock service: its clients and its passphrase, once and by whoever may write to the store's
//! files; and its hash of that passphrase, which the first who gives it has replaced.

use std::collections::HashSet;
use std::time::SystemTime;

use crate::commit::commit;
use crate::{
    Actor, Audit, Authenticated, Authority, Change, ClientCertificate, Entry, FileStore, Fingerprint,
    Outcome, Passphrase, PassphraseHash, StoreError, TakeOver, TrustStore,
};

/// Takes over into a store, as its owner.
#[derive(Debug)]
pub struct Migration<'a> {
    /// The store.
    pub store: &'a FileStore,
    /// Where it is written down.
    pub audit: &'a dyn Audit,
}

/// What became of clients that were to be taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ClientsTaken {
    /// Those that are trusted from now on.
    pub taken: Vec<Fingerprint>,
    /// Those that were trusted already, at whatever level, which stays.
    pub known: Vec<Fingerprint>,
    /// Those that were revoked here, and stay out.
    pub revoked: Vec<Fingerprint>,
}

/// How often it is looked again at who is trusted, if somebody else changes that meanwhile.
const ATTEMPTS: usize = 10;

impl Migration<'_> {
    /// Trusts clients at the full level: all those that are not trusted yet, and were not revoked, or none.
    /// *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn clients(
        &self,
        certificates: &[ClientCertificate],
        now: SystemTime,
    ) -> Result<ClientsTaken, StoreError> {
        for _ in 0..ATTEMPTS {
            let (sorted, newcomers) = self.sort(certificates)?;
            if newcomers.is_empty() || self.trust(&newcomers, now)? == Outcome::Changed {
                return Ok(sorted);
            }
            self.store.reload()?;
        }
        Err(StoreError::KeepsChanging)
    }

    fn sort(
        &self,
        certificates: &[ClientCertificate],
    ) -> Result<(ClientsTaken, Vec<ClientCertificate>), StoreError> {
        let (mut sorted, mut newcomers) = (ClientsTaken::default(), Vec::new());
        let (revoked, mut seen) = (self.store.revoked()?, HashSet::new());
        for certificate in certificates {
            let client = certificate.fingerprint();
            if !seen.insert(client) {
                continue;
            }
            if revoked.contains(&client) {
                sorted.revoked.push(client);
            } else if self.store.contains(&client) {
                sorted.known.push(client);
            } else {
                sorted.taken.push(client);
                newcomers.push(certificate.clone());
            }
        }
        Ok((sorted, newcomers))
    }

    /// Each is written down before any is trusted.
    fn trust(&self, certificates: &[ClientCertificate], at: SystemTime) -> Result<Outcome, StoreError> {
        let what = TakeOver::Clients { certificates, at };
        let entry = |event, client| Entry {
            at,
            event,
            by: Actor::Administrator,
            from: None,
            client: Some(client),
            token: None,
        };
        let (event, mut recorded) = (what.event(), Vec::new());
        let outcome = self.store.change(&Change::TakeOver(what), &mut || {
            for certificate in certificates {
                let client = certificate.fingerprint();
                self.audit.record(&entry(event, client))?;
                recorded.push(client);
            }
            Ok(())
        });
        if outcome.is_err() {
            for client in recorded {
                // The caller is told of the first fault, which is likely this one's too.
                let _ = self.audit.record(&entry(crate::Event::NotStored, client));
            }
        }
        outcome
    }

    /// Makes a stock service's passphrase the one here, unless it was ever said here whether there is one; says
    /// whether that was so. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn passphrase(&self, hash: PassphraseHash, now: SystemTime) -> Result<bool, StoreError> {
        let change = Change::TakeOver(TakeOver::Passphrase(hash));
        let outcome = commit(self.store, self.audit, &change, Actor::Administrator, None, now)?;
        Ok(outcome == Outcome::Changed)
    }
}

impl Authority {
    /// Whether the passphrase's hash is still the one that a stock service has left.
    #[must_use]
    pub fn passphrase_hash_is_stocks(&self) -> bool {
        self.store.passphrase().is_some_and(|hash| hash.is_stocks())
    }

    /// Has our own hash of the passphrase that `client` has given take the place of the stock service's. A failure
    /// is none of the client's, and of no consequence but that the other one stays: the next success tries again.
    pub(crate) fn replace_stock_hash(
        &self,
        stock: &PassphraseHash,
        passphrase: &Passphrase,
        client: &Authenticated,
        now: SystemTime,
    ) {
        if !stock.is_superseded_by(passphrase) {
            return;
        }
        let Ok(own) = PassphraseHash::of(passphrase) else { return };
        let change = Change::TakeOver(TakeOver::Rehash { stock: stock.clone(), own });
        let _ = self.commit(&change, Actor::Client(client.client), Some(&client.channel), now);
    }
}
