//! The store on disk, compatible with the stock service in both directions.
//!
//! `<data>/authenticated-certs/multipass_client_certs.pem` holds the clients, as the stock service
//! keeps them; what is ours lies beside it: the passphrase's hash, and a marker that somebody was
//! enrolled once. All changes go through one path: lock, read again, check, write a new file, rename.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use super::pem_file::{self, Kind};
use super::state::State;
use super::{Condition, Enrolment, Outcome, StoreError, TrustStore};
use crate::durable::{self, Readers};
use crate::{Fingerprint, PassphraseHash, private};

/// The most that is read of any file of the store: 100,000 clients take about 100 MB.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// A trust store in a directory.
pub struct FileStore {
    files: Files,
    /// What was last read or written. Written to only after the disk.
    state: RwLock<State>,
    /// One change at a time in this process; the lock file keeps other processes out.
    changing: Mutex<()>,
    /// How the trust file looked when it was last read or written.
    seen: Mutex<Option<Stamp>>,
    /// Told of each damaged part that was set aside.
    report: Box<dyn Fn(&Damage) + Send + Sync>,
}

/// What changes when a file is written to or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// None if there is no such file, or it cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), inode })
    }
}

/// A damaged part of the trust file, which was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its place in the file, in bytes from the start.
    pub bytes: Range<usize>,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Where the bytes were moved to.
    pub kept_in: PathBuf,
}

/// Where the store's files are.
#[derive(Debug)]
struct Files {
    directory: PathBuf,
    lock: PathBuf,
    clients: PathBuf,
    passphrase: PathBuf,
    /// Exists until the first enrolment renames it to the next one: a rename succeeds on a full disk.
    first_awaited: PathBuf,
    /// Exists from the first enrolment on, so that a store that was emptied enrols nobody.
    enrolled_once: PathBuf,
}

impl Files {
    fn within(data: &Path) -> Self {
        let directory = data.join("authenticated-certs");
        Self {
            lock: data.join("lock"),
            clients: directory.join("multipass_client_certs.pem"),
            passphrase: directory.join("passphrase.phc"),
            first_awaited: directory.join("first-client-awaited"),
            enrolled_once: directory.join("enrolled-once"),
            directory,
        }
    }
}

/// The trust file, read and understood.
struct Clients {
    /// The text without its damaged parts.
    text: Vec<u8>,
    fingerprints: HashSet<Fingerprint>,
    damaged: Vec<(Range<usize>, &'static str, Vec<u8>)>,
}

impl FileStore {
    /// Opens the store in the data directory, which must exist. Damaged parts of the trust file are
    /// moved to a file beside it, now and later, and each is told to `report`. *Blocking*.
    ///
    /// # Errors
    /// A file of the store cannot be read or written.
    pub fn open(
        data: &Path,
        now: SystemTime,
        report: impl Fn(&Damage) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let files = Files::within(data);
        // Whoever puts certificates there before the first start also makes the directory.
        private::directory(&files.directory).map_err(|source| write_error(&files.directory, source))?;
        let _lock = files.lock()?;
        let mut clients = files.read_clients()?;
        let passphrase = files.read_passphrase()?;
        let was_damaged = !clients.damaged.is_empty();
        let armed = !was_damaged && clients.fingerprints.is_empty() && !files.somebody_was_enrolled()?;
        // Before anything is moved: damage that was set aside, without the marker, would leave an empty
        // store that awaits its first client after a crash.
        match armed {
            true => files.await_first()?,
            false => files.mark_enrolled_once()?,
        }
        files.set_aside(&mut clients, now, &report)?;
        if was_damaged {
            files.write_clients(&clients.text)?;
        }
        let state = State { clients: clients.fingerprints, passphrase, armed };
        let seen = Mutex::new(Stamp::of(&files.clients));
        let report = Box::new(report);
        Ok(Self { files, state: RwLock::new(state), changing: Mutex::new(()), seen, report })
    }

    /// Whether somebody else has changed the trust file since it was last read. A look at the file's
    /// metadata; quick, though *blocking*.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != Stamp::of(&self.files.clients)
    }

    /// How the trust file looks now; `None` if there is none. *Blocking*, as [`Self::is_stale`].
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.files.clients)
    }

    /// Reads again what is on the disk. *Blocking*.
    ///
    /// # Errors
    /// It cannot be read; what was known before stays in force.
    pub fn reload(&self) -> Result<(), StoreError> {
        self.change(|_, state| {
            // Who was put there by hand counts as enrolled too.
            if !state.armed {
                self.files.mark_enrolled_once()?;
            }
            Ok(())
        })
    }

    // A panic cannot leave the state half changed: each change is one assignment.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one change: alone in this process and, by the lock file, on this machine. It begins with what
    /// is on the disk, and in the end what is remembered is what is there: also if the change failed, for
    /// it may have failed at its last step.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Clients, &mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.files.lock()?;
        let (mut clients, mut state) = self.on_disk()?;
        let result = change(&mut clients, &mut state);
        let state = match &result {
            Ok(_) => Some(state),
            Err(_) => self.on_disk().ok().map(|(_, state)| state),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Stamp::of(&self.files.clients);
        if let Some(state) = state {
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        }
        result
    }

    fn on_disk(&self) -> Result<(Clients, State), StoreError> {
        let mut clients = self.files.read_clients()?;
        let passphrase = self.files.read_passphrase()?;
        // Another process may have enrolled somebody since this one started.
        let armed = self.state().armed
            && clients.fingerprints.is_empty()
            && clients.damaged.is_empty()
            && !self.files.somebody_was_enrolled()?;
        let state = State { clients: std::mem::take(&mut clients.fingerprints), passphrase, armed };
        Ok((clients, state))
    }
}

impl TrustStore for FileStore {
    fn contains(&self, client: &Fingerprint) -> bool {
        self.state().clients.contains(client)
    }

    fn is_empty(&self) -> bool {
        self.state().clients.is_empty()
    }

    fn is_armed(&self) -> bool {
        self.state().armed
    }

    fn passphrase(&self) -> Option<PassphraseHash> {
        self.state().passphrase.clone()
    }

    fn enrol_if(&self, condition: &Condition, enrolment: &Enrolment<'_>) -> Result<Outcome, StoreError> {
        self.change(|clients, state| {
            if !state.satisfies(condition) {
                return Ok(Outcome::ConditionFailed);
            }
            let files = &self.files;
            if !state.clients.contains(&enrolment.certificate.fingerprint()) {
                files.set_aside(clients, enrolment.at, &self.report)?;
                append(&mut clients.text, condition, enrolment);
                files.write_clients(&clients.text)?;
            }
            state.enrol(enrolment.certificate.fingerprint());
            // The client is stored and will be let in, so a failure here is none of the call; a store
            // with clients in it is marked again when it is next opened.
            let _ = files.mark_enrolled_once();
            Ok(Outcome::Enrolled)
        })
    }

    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError> {
        self.change(|_, state| {
            self.files.write_passphrase(passphrase.as_ref())?;
            state.passphrase = passphrase;
            Ok(())
        })
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("files", &self.files)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Adds a client at the end, ahead of it a comment that the stock service ignores.
fn append(text: &mut Vec<u8>, condition: &Condition, enrolment: &Enrolment<'_>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    let how = match condition {
        Condition::FirstClient => "first-client",
        Condition::PassphraseIs(_) => "passphrase",
    };
    // The format has no years before 1970, which a clock that was never set may show.
    let added = humantime::format_rfc3339_seconds(enrolment.at.max(UNIX_EPOCH));
    let note = format!("# multipass-client: added={added} how={how} from={}\n", enrolment.channel);
    text.extend_from_slice(note.as_bytes());
    text.extend_from_slice(enrolment.certificate.to_pem().as_bytes());
}

impl Files {
    /// Waits for the lock that every process which changes the store holds. It is released when the
    /// returned file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let file = private::lock_file(&self.lock).map_err(|source| write_error(&self.lock, source))?;
        file.lock().map_err(|source| write_error(&self.lock, source))?;
        durable::clear_leftovers(&self.directory).map_err(|source| write_error(&self.directory, source))?;
        Ok(file)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        private::read(path, MAX_FILE).map_err(|source| read_error(path, source))
    }

    fn read_clients(&self) -> Result<Clients, StoreError> {
        let text = self.read(&self.clients)?.unwrap_or_default();
        let (mut fingerprints, mut damaged) = (HashSet::new(), Vec::new());
        for part in pem_file::parse(&text) {
            match part.kind {
                Kind::Text => {}
                Kind::Certificate(certificate) => {
                    fingerprints.insert(certificate.fingerprint());
                }
                Kind::Damaged(reason) => {
                    let bytes = text.get(part.bytes.clone()).unwrap_or_default().to_vec();
                    damaged.push((part.bytes, reason, bytes));
                }
            }
        }
        let mut kept = text;
        for (bytes, ..) in damaged.iter().rev() {
            kept.drain(bytes.clone());
        }
        Ok(Clients { text: kept, fingerprints, damaged })
    }

    /// Writes the damaged parts to a file of their own, before the trust file is written without them.
    fn set_aside(
        &self,
        clients: &mut Clients,
        now: SystemTime,
        report: &dyn Fn(&Damage),
    ) -> Result<(), StoreError> {
        if clients.damaged.is_empty() {
            return Ok(());
        }
        let path_at = |nanoseconds: u128| {
            let mut path = self.clients.clone().into_os_string();
            path.push(format!(".damaged-{nanoseconds}"));
            PathBuf::from(path)
        };
        let mut nanoseconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // What was set aside earlier is never overwritten, even if the clock stands still.
        while path_at(nanoseconds).symlink_metadata().is_ok() {
            nanoseconds += 1;
        }
        let kept_in = path_at(nanoseconds);
        let damaged = std::mem::take(&mut clients.damaged);
        let bytes: Vec<u8> = damaged.iter().flat_map(|(_, _, bytes)| bytes.iter().copied()).collect();
        durable::replace(&kept_in, &bytes, Readers::Owner).map_err(|source| write_error(&kept_in, source))?;
        for (bytes, reason, _) in damaged {
            report(&Damage { bytes, reason, kept_in: kept_in.clone() });
        }
        Ok(())
    }

    fn write_clients(&self, text: &[u8]) -> Result<(), StoreError> {
        // What would not be read again must not be written.
        if text.len() as u64 > MAX_FILE {
            let full = io::Error::new(io::ErrorKind::FileTooLarge, "there is no room for more clients");
            return Err(write_error(&self.clients, full));
        }
        durable::replace(&self.clients, text, Readers::Owner)
            .map_err(|source| write_error(&self.clients, source))
    }

    fn somebody_was_enrolled(&self) -> Result<bool, StoreError> {
        self.enrolled_once.try_exists().map_err(|source| read_error(&self.enrolled_once, source))
    }

    fn await_first(&self) -> Result<(), StoreError> {
        const TEXT: &[u8] = b"The first client is awaited; this file is renamed when it is enrolled.\n";
        durable::replace(&self.first_awaited, TEXT, Readers::Owner)
            .map_err(|source| write_error(&self.first_awaited, source))
    }

    fn mark_enrolled_once(&self) -> Result<(), StoreError> {
        const TEXT: &[u8] = b"A client was enrolled here once; nobody is enrolled for being first again.\n";
        if self.somebody_was_enrolled()? {
            return Ok(());
        }
        durable::rename(&self.first_awaited, &self.enrolled_once)
            .or_else(|_| durable::replace(&self.enrolled_once, TEXT, Readers::Owner))
            .map_err(|source| write_error(&self.enrolled_once, source))
    }

    fn read_passphrase(&self) -> Result<Option<PassphraseHash>, StoreError> {
        let Some(bytes) = self.read(&self.passphrase)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end() {
            "" => Ok(None),
            hash => PassphraseHash::from_phc(hash)
                .map(Some)
                .map_err(|_| StoreError::NotAPassphraseHash { path: self.passphrase.clone() }),
        }
    }

    /// An unset passphrase is an empty file, so that unsetting takes the same path as setting.
    fn write_passphrase(&self, passphrase: Option<&PassphraseHash>) -> Result<(), StoreError> {
        let text = passphrase.map(|hash| format!("{}\n", hash.as_phc())).unwrap_or_default();
        durable::replace(&self.passphrase, text.as_bytes(), Readers::Owner)
            .map_err(|source| write_error(&self.passphrase, source))
    }
}

fn read_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Read { path: path.to_owned(), source }
}

fn write_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beneath the store's surface, where nothing reads a quarter of a gigabyte first: that takes minutes
    /// without optimisation.
    #[test]
    fn what_would_not_be_read_again_is_not_written() {
        let data = tempfile::tempdir().unwrap();
        let files = Files::within(data.path());
        std::fs::create_dir(&files.directory).unwrap();
        files.write_clients(b"# the old ones\n").unwrap();
        // Never touched, so that it takes no memory.
        let too_long = vec![0; usize::try_from(MAX_FILE).unwrap() + 1];
        let error = files.write_clients(&too_long).unwrap_err();
        assert!(
            matches!(&error, StoreError::Write { path, source }
                if *path == files.clients && source.kind() == io::ErrorKind::FileTooLarge),
            "{error:?}"
        );
        assert_eq!(files.read_clients().unwrap().text, b"# the old ones\n");
        assert_eq!(std::fs::read_dir(&files.directory).unwrap().count(), 1, "nothing else is left");
    }
}
