//! What whoever may write to the store's files may do without asking the service: find the way back, and say
//! at installation whose client is the first.

use std::time::SystemTime;

use crate::commit::commit;
use crate::{
    Actor, Audit, Change, ClientCertificate, ClientName, Condition, Enrolment, Level, Outcome, StoreError,
    TrustStore,
};

/// Changes a store as its owner, while a daemon uses it or not.
#[derive(Debug)]
pub struct Recovery<'a> {
    /// The store.
    pub store: &'a dyn TrustStore,
    /// Where it is written down.
    pub audit: &'a dyn Audit,
}

impl Recovery<'_> {
    /// Awaits the first client again, if no client is trusted; says whether that was so. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn await_first(&self, now: SystemTime) -> Result<bool, StoreError> {
        let change = Change::AwaitFirst;
        let outcome = commit(self.store, self.audit, &change, Actor::Administrator, None, now)?;
        Ok(outcome == Outcome::Changed)
    }

    /// Trusts a client at the full level, whatever it was before. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn add(&self, certificate: &ClientCertificate, now: SystemTime) -> Result<(), StoreError> {
        let by = Actor::Administrator;
        if self.enrol(Condition::WantedBy(by), certificate, None, now)? == Outcome::Changed {
            return Ok(());
        }
        let change = Change::SetLevel { client: certificate.fingerprint(), level: Level::Full, by, at: now };
        commit(self.store, self.audit, &change, by, None, now).map(|_| ())
    }

    /// Trusts the client of the user who installs the service, if nobody was ever enrolled; says whether that
    /// was so. It never makes the store await a first client again. *Blocking*.
    ///
    /// # Errors
    /// The store or the audit log could not be used.
    pub fn enrol_installer(
        &self,
        certificate: &ClientCertificate,
        name: Option<&ClientName>,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let outcome = self.enrol(Condition::FirstByInstaller, certificate, name, now)?;
        Ok(outcome == Outcome::Changed)
    }

    fn enrol(
        &self,
        condition: Condition,
        certificate: &ClientCertificate,
        name: Option<&ClientName>,
        at: SystemTime,
    ) -> Result<Outcome, StoreError> {
        let level = Level::Full;
        let change = Change::Enrol(Enrolment { condition, certificate, level, channel: None, name, at });
        commit(self.store, self.audit, &change, Actor::Administrator, None, at)
    }
}
