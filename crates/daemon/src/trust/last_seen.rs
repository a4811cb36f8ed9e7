//! When each client was last connected, in a file of its own that outlives the daemon: written from time to time, and
//! when the daemon stops. What is newer than that is lost with the power; nothing depends on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auth_core::{FileStore, Fingerprint, TrustStore};
use durable::{Readers, private};

use super::presence::Presence;

/// How often it is written, if there is something to write.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The longest file that is read, in bytes: that of 100,000 clients has a half of it.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// What an earlier daemon has written, and where. *Blocking*.
pub(crate) fn restore(data: &Path) -> (LastSeenFile, Presence) {
    // What a crash left; nobody else writes here as long as this daemon has the data.
    let _ = durable::clear_leftovers(data);
    let file = LastSeenFile::within(data);
    let presence = file.read().unwrap_or_else(|error| {
        tracing::warn!("cannot read from {file} when clients were last seen: {error}");
        Presence::default()
    });
    (file, presence)
}

/// Writes it from time to time. Never completes.
pub(crate) async fn keep(file: LastSeenFile, presence: Presence, store: Arc<FileStore>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        write(file.clone(), presence.clone(), Arc::clone(&store)).await;
    }
}

/// Writes it now, of those that `store` trusts.
pub(crate) async fn write(file: LastSeenFile, presence: Presence, store: Arc<FileStore>) {
    let write = move || {
        if let Err(error) = file.write(&presence, |client| store.contains(client)) {
            tracing::warn!("when clients were last seen cannot be written to {file}: {error}");
        }
    };
    let _ = tokio::task::spawn_blocking(write).await;
}

/// The file.
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
    fn within(data: &Path) -> Self {
        Self { path: data.join("last-seen") }
    }

    /// What it says. A line that says nothing is passed over: nothing depends on it. *Blocking*.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> io::Result<Presence> {
        let text = private::read(&self.path, MAX_FILE)?.unwrap_or_default();
        let seen = |line: &str| {
            let (client, at) = line.split_once(' ')?;
            let last = humantime::parse_rfc3339(at.trim()).ok()?;
            Some((client.parse().ok()?, last))
        };
        Ok(Presence::restored(String::from_utf8_lossy(&text).lines().filter_map(seen)))
    }

    /// Writes what is new, of those that are trusted. *Blocking*.
    ///
    /// # Errors
    /// It cannot be written.
    fn write(&self, presence: &Presence, is_trusted: impl Fn(&Fingerprint) -> bool) -> io::Result<()> {
        presence.forget_all_but(is_trusted);
        let Some(text) = presence.to_write() else { return Ok(()) };
        durable::replace(&self.path, text.as_bytes(), Readers::Owner).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::rfc3339_seconds;

    fn fingerprint(digit: char) -> Fingerprint {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn file() -> (tempfile::TempDir, LastSeenFile) {
        let data = tempfile::tempdir().unwrap();
        let file = LastSeenFile::within(data.path());
        (data, file)
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
