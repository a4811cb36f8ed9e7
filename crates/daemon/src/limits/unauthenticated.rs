//! Room for peers that are not, or not yet, trusted clients: little, and shared fairly.
//!
//! A peer holds a slot from the moment it is accepted until it is admitted or gone. No source holds more
//! than a quarter of the slots; when they are all taken, the oldest peer of the source that holds most is
//! evicted. So a crowd from one source takes room from itself.
//!
//! Loopback is one source of many users, who cannot be told apart: there a crowd would take the room of everyone
//! else's handshakes too. So nobody is evicted there at once, and newcomers wait where it is full.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth_core::Source;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a peer on loopback has its slot for certain: time for a handshake on a busy machine. With it, a trusted
/// client needs none any more. The longer it is, the longer is the wait behind a crowd: a quarter of the slots
/// changes hands in this time.
const EVICTION_GRACE: Duration = Duration::from_millis(500);

/// The slots of one daemon.
#[derive(Clone, Debug)]
pub(crate) struct UnauthenticatedPeers {
    limit: usize,
    state: Arc<Mutex<State>>,
    /// Told each time that a slot is released.
    released: Arc<Notify>,
}

#[derive(Debug)]
struct Peer {
    since: Instant,
    evicted: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// Counts up: a lower number is an older peer.
    next: u64,
    taken: usize,
    sources: HashMap<Source, BTreeMap<u64, Peer>>,
}

/// A peer's slot. Released when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    peers: UnauthenticatedPeers,
    source: Source,
    number: u64,
    evicted: CancellationToken,
}

impl UnauthenticatedPeers {
    /// Slots for `limit` peers.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Arc::default(), released: Arc::default() }
    }

    /// Takes a slot for a peer from `source`, evicting an older peer if there is none left. From loopback this
    /// may take a while.
    pub(crate) async fn acquire(&self, source: Source) -> Slot {
        loop {
            // Whoever leaves from now on is heard of.
            let released = self.released.notified();
            match self.try_acquire(source) {
                Ok(slot) => return slot,
                // Either way it is tried again.
                Err(at) => drop(timeout_at(at, released).await),
            }
        }
    }

    /// As [`Self::acquire`].
    ///
    /// # Errors
    /// When there will be a slot, if none is released before.
    fn try_acquire(&self, source: Source) -> Result<Slot, Instant> {
        let mut state = self.lock();
        let own = state.sources.get(&source);
        if own.map_or(0, BTreeMap::len) >= (self.limit / 4).max(1) {
            let oldest = own.and_then(|peers| peers.values().next());
            if source == Source::Loopback
                && let Some(protected_until) = oldest.map(|peer| peer.since + EVICTION_GRACE)
                && protected_until > Instant::now()
            {
                return Err(protected_until);
            }
            state.evict_oldest(source);
        } else if state.taken >= self.limit
            && let Some(largest) = state.largest()
        {
            state.evict_oldest(largest);
        }
        let number = state.next;
        state.next += 1;
        state.taken += 1;
        let evicted = CancellationToken::new();
        let peer = Peer { since: Instant::now(), evicted: evicted.clone() };
        state.sources.entry(source).or_default().insert(number, peer);
        Ok(Slot { peers: self.clone(), source, number, evicted })
    }

    // A panic cannot leave the counts wrong: nothing between two of their changes can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn largest(&self) -> Option<Source> {
        // Of equals the one with the oldest peer, so that the choice does not depend on hashing.
        let size = |peers: &BTreeMap<u64, _>| (peers.len(), std::cmp::Reverse(peers.keys().next().copied()));
        self.sources.iter().max_by_key(|(_, peers)| size(peers)).map(|(source, _)| *source)
    }

    fn evict_oldest(&mut self, source: Source) {
        let oldest = self.sources.get(&source).and_then(|peers| peers.keys().next().copied());
        if let Some(peer) = oldest.and_then(|number| self.remove(source, number)) {
            peer.evicted.cancel();
        }
    }

    fn remove(&mut self, source: Source, number: u64) -> Option<Peer> {
        let peers = self.sources.get_mut(&source)?;
        let peer = peers.remove(&number)?;
        if peers.is_empty() {
            self.sources.remove(&source);
        }
        self.taken -= 1;
        Some(peer)
    }
}

impl Slot {
    /// Completes when this peer has to make room for another.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.peers.lock().remove(self.source, self.number).is_some() {
            self.peers.released.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> Source {
        Source::User(uid)
    }

    fn acquire(peers: &UnauthenticatedPeers, source: Source) -> Slot {
        peers.try_acquire(source).expect("a slot at once")
    }

    fn evicted(slots: &[Slot]) -> Vec<usize> {
        (0..slots.len()).filter(|index| slots[*index].evicted.is_cancelled()).collect()
    }

    #[test]
    fn one_source_takes_room_from_itself() {
        let peers = UnauthenticatedPeers::new(16);
        let slots: Vec<Slot> = (0..6).map(|_| acquire(&peers, user(1))).collect();
        assert_eq!(evicted(&slots), [0, 1]);
    }

    #[test]
    fn when_all_is_taken_the_largest_source_loses_its_oldest() {
        let peers = UnauthenticatedPeers::new(8);
        let mut slots: Vec<Slot> = [1, 2, 2, 3, 4, 5, 6, 7].map(|uid| acquire(&peers, user(uid))).into();
        slots.push(acquire(&peers, user(8)));
        assert_eq!(evicted(&slots), [1]);
        // All sources have one peer now: the oldest of all goes.
        slots.push(acquire(&peers, user(9)));
        assert_eq!(evicted(&slots), [0, 1]);
    }

    /// Or the users of loopback would end each other's handshakes.
    #[tokio::test(start_paused = true)]
    async fn on_loopback_newcomers_wait_until_the_oldest_has_had_its_time() {
        let peers = UnauthenticatedPeers::new(16);
        let began = Instant::now();
        let mut slots = Vec::new();
        for _ in 0..4 {
            slots.push(peers.acquire(Source::Loopback).await);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        slots.push(peers.acquire(Source::Loopback).await);
        assert_eq!((began.elapsed(), evicted(&slots)), (EVICTION_GRACE, vec![0]));
        // Those who came with it have had theirs too.
        for _ in 0..3 {
            slots.push(peers.acquire(Source::Loopback).await);
        }
        assert_eq!((began.elapsed(), evicted(&slots)), (EVICTION_GRACE, vec![0, 1, 2, 3]));

        // Sooner where one leaves; and nobody else waits.
        let mut waiting = std::pin::pin!(peers.acquire(Source::Loopback));
        assert!(timeout_at(Instant::now(), waiting.as_mut()).await.is_err(), "there is no slot yet");
        acquire(&peers, user(1));
        drop(slots.pop());
        waiting.await;
        assert_eq!((began.elapsed(), evicted(&slots)), (EVICTION_GRACE, vec![0, 1, 2, 3]));
    }

    #[test]
    fn a_released_slot_is_free() {
        let peers = UnauthenticatedPeers::new(4);
        for round in 0..100 {
            let slot = acquire(&peers, user(round));
            assert!(!slot.evicted.is_cancelled());
        }
        let state = peers.lock();
        assert_eq!((state.taken, state.sources.len()), (0, 0));
    }

    #[test]
    fn the_number_of_peers_never_exceeds_the_limit() {
        let peers = UnauthenticatedPeers::new(8);
        let slots: Vec<Slot> = (0..1000).map(|number| acquire(&peers, user(number % 7))).collect();
        assert_eq!(slots.len() - evicted(&slots).len(), 8);
        assert!(peers.lock().sources.values().all(|peers| peers.len() <= 2));
    }
}
