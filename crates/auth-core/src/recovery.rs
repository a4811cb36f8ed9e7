//! The ways back for whoever may write to the store's files, without asking the service.

use std::time::SystemTime;

use crate::commit::commit;
use crate::{Actor, Audit, Change, ClientCertificate, Condition, Enrolment, Outcome, StoreError, TrustStore};

/// Changes a store as its owner, while a daemon uses it or not.
#[derive(Debug)]
pub struct Recovery<'a> {
    /// The store.
    pub store: &'a dyn TrustStore,
    /// Where it is written down.
    pub audit: &'a dyn Audit,
}

impl Recovery<'_> {
    /// Awaits the first client anew, if no client is trusted; says whether that was so. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn await_first(&self, now: SystemTime) -> Result<bool, StoreError> {
        let change = Change::AwaitFirst;
        let outcome = commit(self.store, self.audit, &change, Actor::Administrator, None, now)?;
        Ok(outcome == Outcome::Changed)
    }

    /// Trusts a client. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn add(&self, certificate: &ClientCertificate, now: SystemTime) -> Result<(), StoreError> {
        let condition = Condition::WantedBy(Actor::Administrator);
        let enrolment = Enrolment { condition, certificate, channel: None, name: None, at: now };
        let change = Change::Enrol(enrolment);
        commit(self.store, self.audit, &change, Actor::Administrator, None, now).map(|_| ())
    }
}
