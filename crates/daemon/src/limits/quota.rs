//! A quota of what the daemon has only so much of, among those who are admitted: none has more than its own, and the
//! last of it is reserved for who can put things right. What it is, connections or bytes, is not seen here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_core::{Fingerprint, Level};
use thiserror::Error;

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Root's, over the Unix socket, with whatever certificate: who has a copy of that takes nothing from root.
    Root,
    /// A client's, wherever it comes from.
    Client(Fingerprint, Level),
}

impl Principal {
    const fn client(self) -> Option<Fingerprint> {
        match self {
            Self::Root => None,
            Self::Client(fingerprint, _) => Some(fingerprint),
        }
    }
}

/// Quotas of one thing. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    total: usize,
    per_principal: usize,
    /// So much is reserved for root, and as much again for clients of the full level and root.
    reserve: usize,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    total: usize,
    /// By the client, or root's: with another level it is the same one.
    principals: BTreeMap<Option<Fingerprint>, usize>,
}

/// What a principal has reserved of its quota. Released when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: Quota,
    principal: Principal,
    amount: AtomicUsize,
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QuotaExceeded {
    /// The principal's own quota is used up.
    #[error("this client has as much as one may have")]
    Own,
    /// What there is for clients of its level is used up.
    #[error("all clients together have as much as there is")]
    Total,
}

impl Quota {
    /// So much in `total`, of which nobody has more than `per_principal`, and of which `reserve` is for root alone, and
    /// as much again for root and clients of the full level.
    pub(crate) fn new(total: usize, per_principal: usize, reserve: usize) -> Self {
        Self { total, per_principal, reserve, usage: Arc::default() }
    }

    /// Reserves so much of the principal's quota.
    ///
    /// # Errors
    /// There is not as much.
    pub(crate) fn reserve(&self, principal: Principal, amount: usize) -> Result<Reservation, QuotaExceeded> {
        let reservation = Reservation { quota: self.clone(), principal, amount: AtomicUsize::new(0) };
        reservation.extend(amount)?;
        Ok(reservation)
    }

    /// What that principal may not have.
    fn withheld_from(&self, principal: Principal) -> usize {
        match principal {
            Principal::Root => 0,
            Principal::Client(_, Level::Full) => self.reserve,
            Principal::Client(_, Level::ReadOnly) => 2 * self.reserve,
        }
    }

    // A panic cannot leave the counts wrong: nothing between two of their changes can panic.
    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Reserves more for the same.
    ///
    /// # Errors
    /// There is not as much; what was reserved before stays.
    pub(crate) fn extend(&self, amount: usize) -> Result<(), QuotaExceeded> {
        let mut usage = self.quota.lock();
        let fits = |used: usize, limit: usize| used.checked_add(amount).is_some_and(|sum| sum <= limit);
        let own = usage.principals.get(&self.principal.client()).copied().unwrap_or(0);
        if !fits(own, self.quota.per_principal) {
            return Err(QuotaExceeded::Own);
        }
        if !fits(usage.total, self.quota.total.saturating_sub(self.quota.withheld_from(self.principal))) {
            return Err(QuotaExceeded::Total);
        }
        usage.total += amount;
        *usage.principals.entry(self.principal.client()).or_default() += amount;
        self.amount.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let amount = *self.amount.get_mut();
        let mut usage = self.quota.lock();
        usage.total -= amount;
        if let Some(own) = usage.principals.get_mut(&self.principal.client()) {
            *own -= amount;
            if *own == 0 {
                usage.principals.remove(&self.principal.client());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    fn client(level: Level) -> Principal {
        let der = TestIdentity::client().certificate().to_vec();
        Principal::Client(auth_core::ClientCertificate::from_der(der).unwrap().fingerprint(), level)
    }

    #[test]
    fn a_client_of_another_level_is_the_same_principal() {
        let Principal::Client(client, _) = client(Level::Full) else { panic!("no client") };
        let quota = Quota::new(100, 4, 0);
        let reservation = quota.reserve(Principal::Client(client, Level::ReadOnly), 4).unwrap();
        let again = quota.reserve(Principal::Client(client, Level::Full), 1);
        assert_eq!(again.unwrap_err(), QuotaExceeded::Own);
        drop(reservation);
        quota.reserve(Principal::Client(client, Level::Full), 4).unwrap();
    }

    #[test]
    fn nobody_exceeds_a_quota_or_takes_from_anothers() {
        let quota = Quota::new(100, 4, 0);
        for principal in [client(Level::ReadOnly), client(Level::Full), Principal::Root] {
            let mut reserved: Vec<Reservation> =
                (0..4).map(|_| quota.reserve(principal, 1).unwrap()).collect();
            assert_eq!(quota.reserve(principal, 1).unwrap_err(), QuotaExceeded::Own);
            reserved.pop();
            let growing = quota.reserve(principal, 0).unwrap();
            growing.extend(1).unwrap();
            assert_eq!(growing.extend(1), Err(QuotaExceeded::Own));
            assert_eq!(growing.extend(usize::MAX), Err(QuotaExceeded::Own));
            // Kept, so that the next one finds them there.
            std::mem::forget((reserved, growing));
        }
    }

    #[test]
    fn the_last_is_reserved_for_the_full_level_and_the_very_last_for_root() {
        let quota = Quota::new(12, 100, 3);
        let mut reserved = Vec::new();
        for (level, fit) in [(Level::ReadOnly, 6), (Level::Full, 3)] {
            // Of many clients together.
            reserved.extend((0..fit).map(|_| quota.reserve(client(level), 1).unwrap()));
            assert_eq!(quota.reserve(client(level), 1).unwrap_err(), QuotaExceeded::Total, "{level}");
        }
        assert_eq!(quota.reserve(client(Level::ReadOnly), 1).unwrap_err(), QuotaExceeded::Total);
        reserved.extend((0..3).map(|_| quota.reserve(Principal::Root, 1).unwrap()));
        assert_eq!(quota.reserve(Principal::Root, 1).unwrap_err(), QuotaExceeded::Total);
    }

    #[test]
    fn what_is_released_is_free_and_nothing_is_kept_of_who_has_gone() {
        let quota = Quota::new(10, 10, 0);
        for _ in 0..3 {
            let reservation = quota.reserve(client(Level::Full), 4).unwrap();
            reservation.extend(6).unwrap();
            assert_eq!(reservation.extend(1), Err(QuotaExceeded::Own));
            assert_eq!(quota.reserve(Principal::Root, 1).unwrap_err(), QuotaExceeded::Total);
        }
        let usage = quota.lock();
        assert_eq!((usage.total, usage.principals.len()), (0, 0));
    }
}
