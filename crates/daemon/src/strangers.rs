//! Room for peers that are not, or not yet, trusted clients: little, and shared fairly.
//!
//! A peer holds a slot from the moment it is accepted until it is admitted or gone. No source holds more
//! than a quarter of the slots; when they are all taken, the oldest peer of the source that holds most has
//! to go. So a crowd from one source takes room from itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_core::Source;
use tokio_util::sync::CancellationToken;

/// The slots of one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Strangers {
    limit: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts up: a lower number is an older peer.
    next: u64,
    taken: usize,
    sources: HashMap<Source, BTreeMap<u64, CancellationToken>>,
}

/// A peer's slot. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    strangers: Strangers,
    source: Source,
    number: u64,
    sent_away: CancellationToken,
}

impl Strangers {
    /// Slots for `limit` peers.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Arc::default() }
    }

    /// Takes a slot for a peer from `source`, sending an older peer away if there is none left.
    pub(crate) fn enter(&self, source: Source) -> Slot {
        let mut state = self.lock();
        let own = state.sources.get(&source).map_or(0, BTreeMap::len);
        if own >= (self.limit / 4).max(1) {
            state.send_oldest_away(source);
        } else if state.taken >= self.limit
            && let Some(largest) = state.largest()
        {
            state.send_oldest_away(largest);
        }
        let number = state.next;
        state.next += 1;
        state.taken += 1;
        let sent_away = CancellationToken::new();
        state.sources.entry(source).or_default().insert(number, sent_away.clone());
        Slot { strangers: self.clone(), source, number, sent_away }
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

    fn send_oldest_away(&mut self, source: Source) {
        let oldest = self.sources.get(&source).and_then(|peers| peers.keys().next().copied());
        if let Some(peer) = oldest.and_then(|number| self.remove(source, number)) {
            peer.cancel();
        }
    }

    fn remove(&mut self, source: Source, number: u64) -> Option<CancellationToken> {
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
    pub(crate) async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.strangers.lock().remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> Source {
        Source::User(uid)
    }

    fn gone(slots: &[Slot]) -> Vec<usize> {
        (0..slots.len()).filter(|index| slots[*index].sent_away.is_cancelled()).collect()
    }

    #[test]
    fn one_source_takes_room_from_itself() {
        let strangers = Strangers::new(16);
        let slots: Vec<Slot> = (0..6).map(|_| strangers.enter(user(1))).collect();
        assert_eq!(gone(&slots), [0, 1]);
    }

    #[test]
    fn when_all_is_taken_the_largest_source_loses_its_oldest() {
        let strangers = Strangers::new(8);
        let mut slots: Vec<Slot> = [1, 2, 2, 3, 4, 5, 6, 7].map(|uid| strangers.enter(user(uid))).into();
        slots.push(strangers.enter(user(8)));
        assert_eq!(gone(&slots), [1]);
        // All sources have one peer now: the oldest of all goes.
        slots.push(strangers.enter(user(9)));
        assert_eq!(gone(&slots), [0, 1]);
    }

    #[test]
    fn a_slot_given_back_is_free() {
        let strangers = Strangers::new(4);
        for round in 0..100 {
            let slot = strangers.enter(user(round));
            assert!(!slot.sent_away.is_cancelled());
        }
        let state = strangers.lock();
        assert_eq!((state.taken, state.sources.len()), (0, 0));
    }

    #[test]
    fn the_number_of_peers_never_exceeds_the_limit() {
        let strangers = Strangers::new(8);
        let slots: Vec<Slot> = (0..1000).map(|number| strangers.enter(user(number % 7))).collect();
        assert_eq!(slots.len() - gone(&slots).len(), 8);
        assert!(strangers.lock().sources.values().all(|peers| peers.len() <= 2));
    }
}
