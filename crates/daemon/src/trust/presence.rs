//! Who is connected, and when each client last was: counted as connections begin and end, not at each call.
//!
//! It is for people, and decides nothing. What of it outlives the daemon is in `last_seen`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::timestamp::rfc3339_seconds;
use auth_core::Fingerprint;

/// Who is here, and who was. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    clients: HashMap<Fingerprint, ClientPresence>,
    /// Somebody has come or gone since it was last written.
    is_changed: bool,
}

/// What is known of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientPresence {
    /// Its connections at this moment.
    pub(crate) connections: u32,
    /// When it last had one.
    pub(crate) last: SystemTime,
}

/// A connection of a client; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PresenceGuard {
    presence: Presence,
    client: Fingerprint,
}

impl Presence {
    /// What was known of clients that have no connections any more.
    pub(super) fn restored(clients: impl Iterator<Item = (Fingerprint, SystemTime)>) -> Self {
        let clients =
            clients.map(|(client, last)| (client, ClientPresence { connections: 0, last })).collect();
        Self(Arc::new(Mutex::new(State { clients, is_changed: false })))
    }

    /// A client is here, by one connection more. Only clients that are trusted come so far, so that there are
    /// no more entries than clients; [`Self::forget_all_but`] removes those that are trusted no longer.
    pub(crate) fn connected(&self, client: Fingerprint) -> PresenceGuard {
        let mut state = self.lock();
        let now = SystemTime::now();
        let seen = state.clients.entry(client).or_insert(ClientPresence { connections: 0, last: now });
        *seen = ClientPresence { connections: seen.connections.saturating_add(1), last: now };
        state.is_changed = true;
        PresenceGuard { presence: self.clone(), client }
    }

    /// What is known of a client; nothing if it was never here.
    pub(crate) fn of(&self, client: &Fingerprint) -> Option<ClientPresence> {
        let now = SystemTime::now();
        self.lock().clients.get(client).map(|seen| seen.at(now))
    }

    /// Forgets those that are not connected and no longer trusted.
    pub(super) fn forget_all_but(&self, is_trusted: impl Fn(&Fingerprint) -> bool) {
        self.lock().clients.retain(|client, seen| seen.connections > 0 || is_trusted(client));
    }

    /// What is to be written, if there is anything new in it.
    pub(super) fn to_write(&self) -> Option<String> {
        let mut state = self.lock();
        let somebody_is_here = state.clients.values().any(|seen| seen.connections > 0);
        if !std::mem::take(&mut state.is_changed) && !somebody_is_here {
            return None;
        }
        let now = SystemTime::now();
        let line = |(client, seen): (&Fingerprint, &ClientPresence)| {
            format!("{client} {}\n", rfc3339_seconds(seen.at(now).last))
        };
        Some(state.clients.iter().map(line).collect())
    }

    // A panic cannot leave it half changed: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientPresence {
    /// Who is here is seen now.
    fn at(self, now: SystemTime) -> Self {
        Self { last: if self.connections > 0 { now } else { self.last }, ..self }
    }
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        let mut state = self.presence.lock();
        if let Some(seen) = state.clients.get_mut(&self.client) {
            *seen =
                ClientPresence { connections: seen.connections.saturating_sub(1), last: SystemTime::now() };
        }
        state.is_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(digit: char) -> Fingerprint {
        digit.to_string().repeat(64).parse().unwrap()
    }

    #[test]
    fn connections_are_counted_as_they_come_and_go() {
        let presence = Presence::default();
        let connections = |digit| presence.of(&fingerprint(digit)).map(|seen| seen.connections);
        assert_eq!(connections('a'), None);
        let first = presence.connected(fingerprint('a'));
        let second = presence.connected(fingerprint('a'));
        let _other = presence.connected(fingerprint('b'));
        assert_eq!((connections('a'), connections('b')), (Some(2), Some(1)));
        drop(first);
        assert_eq!(connections('a'), Some(1));
        let before = SystemTime::now();
        drop(second);
        let gone = presence.of(&fingerprint('a')).unwrap();
        assert!(gone.connections == 0 && gone.last >= before, "{gone:?}");
    }
}
