//! What the daemon has only so much of, shared among those who are admitted: none has more than its share, and the
//! last of it is kept for who can put things right. What it is, connections or bytes, is not seen here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_core::{Fingerprint, Level};
use thiserror::Error;

/// Whose share it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Root's, over the Unix socket, with whatever certificate: who has a copy of that takes nothing from root.
    Root,
    /// A client's, wherever it comes from.
    Client(Fingerprint, Level),
}

impl Holder {
    const fn client(self) -> Option<Fingerprint> {
        match self {
            Self::Root => None,
            Self::Client(fingerprint, _) => Some(fingerprint),
        }
    }
}

/// One thing that is shared. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    limit: usize,
    share: usize,
    /// So much is kept for root, and as much again for clients of the full level and root.
    kept: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By the client, or root's: with another level it is the same one.
    holders: BTreeMap<Option<Fingerprint>, usize>,
}

/// What somebody has taken. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    shares: Shares,
    holder: Holder,
    amount: AtomicUsize,
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Full {
    /// The holder's share is used up.
    #[error("this client has as much as one may have")]
    Share,
    /// What there is for clients of its level is used up.
    #[error("all clients together have as much as there is")]
    All,
}

impl Shares {
    /// So much of something, of which nobody has more than `share`, and of which `kept` is kept for root, and as much
    /// again for root and clients of the full level.
    pub(crate) fn new(limit: usize, share: usize, kept: usize) -> Self {
        Self { limit, share, kept, taken: Arc::default() }
    }

    /// Takes so much from the holder's share.
    ///
    /// # Errors
    /// There is not as much.
    pub(crate) fn take(&self, holder: Holder, amount: usize) -> Result<Held, Full> {
        let held = Held { shares: self.clone(), holder, amount: AtomicUsize::new(0) };
        held.more(amount)?;
        Ok(held)
    }

    /// What is kept from that holder.
    fn kept_from(&self, holder: Holder) -> usize {
        match holder {
            Holder::Root => 0,
            Holder::Client(_, Level::Full) => self.kept,
            Holder::Client(_, Level::ReadOnly) => 2 * self.kept,
        }
    }

    // A panic cannot leave the counts wrong: nothing between two of their changes can panic.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes more for the same.
    ///
    /// # Errors
    /// There is not as much; what was taken before stays.
    pub(crate) fn more(&self, amount: usize) -> Result<(), Full> {
        let mut taken = self.shares.lock();
        let fits = |taken: usize, limit: usize| taken.checked_add(amount).is_some_and(|sum| sum <= limit);
        let own = taken.holders.get(&self.holder.client()).copied().unwrap_or(0);
        if !fits(own, self.shares.share) {
            return Err(Full::Share);
        }
        if !fits(taken.all, self.shares.limit.saturating_sub(self.shares.kept_from(self.holder))) {
            return Err(Full::All);
        }
        taken.all += amount;
        *taken.holders.entry(self.holder.client()).or_default() += amount;
        self.amount.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let amount = *self.amount.get_mut();
        let mut taken = self.shares.lock();
        taken.all -= amount;
        if let Some(own) = taken.holders.get_mut(&self.holder.client()) {
            *own -= amount;
            if *own == 0 {
                taken.holders.remove(&self.holder.client());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    fn client(level: Level) -> Holder {
        let der = TestIdentity::client().certificate().to_vec();
        Holder::Client(auth_core::ClientCertificate::from_der(der).unwrap().fingerprint(), level)
    }

    #[test]
    fn a_client_of_another_level_is_the_same_one() {
        let Holder::Client(client, _) = client(Level::Full) else { panic!("no client") };
        let shares = Shares::new(100, 4, 0);
        let held = shares.take(Holder::Client(client, Level::ReadOnly), 4).unwrap();
        assert_eq!(shares.take(Holder::Client(client, Level::Full), 1).unwrap_err(), Full::Share);
        drop(held);
        shares.take(Holder::Client(client, Level::Full), 4).unwrap();
    }

    #[test]
    fn nobody_has_more_than_a_share_and_takes_nothing_from_others() {
        let shares = Shares::new(100, 4, 0);
        for holder in [client(Level::ReadOnly), client(Level::Full), Holder::Root] {
            let mut held: Vec<Held> = (0..4).map(|_| shares.take(holder, 1).unwrap()).collect();
            assert_eq!(shares.take(holder, 1).unwrap_err(), Full::Share);
            held.pop();
            let grows = shares.take(holder, 0).unwrap();
            grows.more(1).unwrap();
            assert_eq!(grows.more(1), Err(Full::Share));
            assert_eq!(grows.more(usize::MAX), Err(Full::Share));
            // Kept, so that the next one finds them there.
            std::mem::forget((held, grows));
        }
    }

    #[test]
    fn the_last_is_kept_for_the_full_level_and_the_very_last_for_root() {
        let shares = Shares::new(12, 100, 3);
        let mut held = Vec::new();
        for (who, fit) in [(Level::ReadOnly, 6), (Level::Full, 3)] {
            // Of many clients together.
            held.extend((0..fit).map(|_| shares.take(client(who), 1).unwrap()));
            assert_eq!(shares.take(client(who), 1).unwrap_err(), Full::All, "{who}");
        }
        assert_eq!(shares.take(client(Level::ReadOnly), 1).unwrap_err(), Full::All);
        held.extend((0..3).map(|_| shares.take(Holder::Root, 1).unwrap()));
        assert_eq!(shares.take(Holder::Root, 1).unwrap_err(), Full::All);
    }

    #[test]
    fn what_is_given_back_is_free_and_nothing_is_kept_of_who_has_gone() {
        let shares = Shares::new(10, 10, 0);
        for _ in 0..3 {
            let held = shares.take(client(Level::Full), 4).unwrap();
            held.more(6).unwrap();
            assert_eq!(held.more(1), Err(Full::Share));
            assert_eq!(shares.take(Holder::Root, 1).unwrap_err(), Full::All);
        }
        let taken = shares.lock();
        assert_eq!((taken.all, taken.holders.len()), (0, 0));
    }
}
