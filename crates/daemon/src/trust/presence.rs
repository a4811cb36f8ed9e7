//! Who is here, and when each client was last: counted as connections begin and end, not at each call.
//!
//! It is for people, and decides nothing. It is written to a file of its own from time to time, and when the
//! daemon stops; what is newer than that is lost with the power.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use auth_core::Fingerprint;
use durable::{Readers, private};

use crate::timestamp::rfc3339_seconds;

/// How often it is written, if there is something to write.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The longest file that is read, in bytes: that of 100,000 clients has a half of it.
const MAX_FILE: u64 = 16 * 1024 * 1024;

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

    fn forget_all_but(&self, is_trusted: impl Fn(&Fingerprint) -> bool) {
        self.lock().clients.retain(|client, seen| seen.connections > 0 || is_trusted(client));
    }

    /// What is to be written, if there is anything new in it.
    fn to_write(&self) -> Option<String> {
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

/// The file that outlives the daemon.
#[derive(Clone, Debug)]
pub(crate) struct LastSeenFile {
    path: PathBuf,
}

impl fmt::Display for LastSeenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl LastSeenFile {
    /// The file in a data directory that no other daemon uses.
    pub(crate) fn within(data: &Path) -> Self {
        Self { path: data.join("last-seen") }
    }

    /// What it says. A line that says nothing is passed over: nothing depends on it. *Blocking*.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&self) -> io::Result<Presence> {
        let text = private::read(&self.path, MAX_FILE)?.unwrap_or_default();
        let seen = |line: &str| {
            let (client, at) = line.split_once(' ')?;
            let last = humantime::parse_rfc3339(at.trim()).ok()?;
            Some((client.parse().ok()?, ClientPresence { connections: 0, last }))
        };
        let clients = String::from_utf8_lossy(&text).lines().filter_map(seen).collect();
        Ok(Presence(Arc::new(Mutex::new(State { clients, is_changed: false }))))
    }

    /// Writes what is new, of those that are trusted. *Blocking*.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(
        &self,
        presence: &Presence,
        is_trusted: impl Fn(&Fingerprint) -> bool,
    ) -> io::Result<()> {
        presence.forget_all_but(is_trusted);
        let Some(text) = presence.to_write() else { return Ok(()) };
        durable::replace(&self.path, text.as_bytes(), Readers::Owner).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(digit: char) -> Fingerprint {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn file() -> (tempfile::TempDir, LastSeenFile) {
        let data = tempfile::tempdir().unwrap();
        let file = LastSeenFile::within(data.path());
        (data, file)
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

    #[test]
    fn who_was_here_is_known_after_a_restart_and_who_is_trusted_no_longer_is_forgotten() {
        let (_data, file) = file();
        let presence = file.read().unwrap();
        drop(presence.connected(fingerprint('a')));
        drop(presence.connected(fingerprint('b')));
        file.write(&presence, |client| *client == fingerprint('a')).unwrap();
        assert_eq!(presence.of(&fingerprint('b')), None);
        let again = file.read().unwrap();
        let (before, after) = (presence.of(&fingerprint('a')).unwrap(), again.of(&fingerprint('a')).unwrap());
        assert_eq!((after.connections, rfc3339_seconds(after.last)), (0, rfc3339_seconds(before.last)));
        assert_eq!(again.of(&fingerprint('b')), None);
    }

    #[test]
    fn it_is_written_when_there_is_something_new_and_not_else() {
        let (_data, file) = file();
        let presence = Presence::default();
        let writes = || {
            let _ = std::fs::remove_file(&file.path);
            file.write(&presence, |_| true).unwrap();
            file.path.exists()
        };
        assert!(!writes(), "nobody was here");
        let here = presence.connected(fingerprint('a'));
        assert!(writes() && writes(), "who is here is seen");
        drop(here);
        assert!(writes() && !writes());
    }

    #[test]
    fn a_spoilt_file_costs_its_spoilt_lines() {
        let (_data, file) = file();
        let line = format!("{} 2026-01-02T03:04:05Z\n", fingerprint('a'));
        for (text, is_known) in [
            (line.clone(), true),
            (format!("garbage\n\u{0}\n{line}{} never\n", fingerprint('b')), true),
            (line[..70].to_owned(), false),
            (String::new(), false),
        ] {
            std::fs::write(&file.path, &text).unwrap();
            let seen = file.read().unwrap().of(&fingerprint('a')).map(|seen| rfc3339_seconds(seen.last));
            assert_eq!(seen.as_deref(), is_known.then_some("2026-01-02T03:04:05Z"), "{text:?}");
        }
        std::fs::write(&file.path, [&[0xff, b'\n'], line.as_bytes()].concat()).unwrap();
        assert!(file.read().unwrap().of(&fingerprint('a')).is_some());
    }
}
