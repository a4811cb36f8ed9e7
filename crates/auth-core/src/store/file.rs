//! The store on disk, compatible with the stock service in both directions.
//!
//! `<data>/authenticated-certs/multipass_client_certs.pem` holds the clients, as the stock service
//! keeps them; what is ours lies beside it: the passphrase's hash, and a marker that somebody was
//! enrolled once. All changes go through one path: lock, read again, check, write a new file, rename.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use super::memory::State;
use super::pem_file::{self, Kind};
use super::{Condition, Enrolment, How, Outcome, StoreError, TrustStore};
use crate::durable::{self, Readers};
use crate::{Fingerprint, PassphraseHash};

/// The most that is read of any file of the store: 100,000 clients take about 100 MB.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// A trust store in a directory.
#[derive(Debug)]
pub struct FileStore {
    files: Files,
    /// What was last read or written. Written to only after the disk.
    state: RwLock<State>,
    /// One change at a time in this process; the lock file keeps other processes out.
    changing: Mutex<()>,
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
    /// moved to a file beside it and returned. *Blocking*.
    ///
    /// # Errors
    /// A file of the store cannot be read or written.
    pub fn open(data: &Path, now: SystemTime) -> Result<(Self, Vec<Damage>), StoreError> {
        let files = Files::within(data);
        create_private_directory(&files)?;
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
        let damage = files.set_aside(&mut clients, now)?;
        if was_damaged {
            files.write_clients(&clients.text)?;
        }
        let state = State { clients: clients.fingerprints, passphrase, armed };
        let store = Self { files, state: RwLock::new(state), changing: Mutex::new(()) };
        Ok((store, damage))
    }

    // A panic cannot leave the state half changed: each change is one assignment.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one change: alone in this process and, by the lock file, on this machine.
    fn change<T>(&self, change: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.files.lock()?;
        change()
    }

    fn remember(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
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
        self.change(|| {
            let files = &self.files;
            let mut clients = files.read_clients()?;
            let passphrase = files.read_passphrase()?;
            // Another process may have enrolled somebody since this one started.
            let armed = self.state().armed
                && clients.fingerprints.is_empty()
                && clients.damaged.is_empty()
                && !files.somebody_was_enrolled()?;
            let holds = match condition {
                Condition::FirstClient => armed,
                Condition::PassphraseIs(hash) => passphrase.as_ref() == Some(hash),
            };
            if holds && clients.fingerprints.insert(enrolment.certificate.fingerprint()) {
                files.set_aside(&mut clients, enrolment.at)?;
                append(&mut clients.text, condition.how(), enrolment);
                files.write_clients(&clients.text)?;
                // The client is stored and will be let in, so this is no failure of the call; a store
                // with clients in it is marked again when it is next opened.
                let _ = files.mark_enrolled_once();
            }
            // Whoever lost to another process learns here who is trusted now.
            self.remember(|state| {
                *state = State { clients: clients.fingerprints, passphrase, armed: armed && !holds };
            });
            Ok(if holds { Outcome::Enrolled } else { Outcome::ConditionFailed })
        })
    }

    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError> {
        self.change(|| {
            self.files.write_passphrase(passphrase.as_ref())?;
            self.remember(|state| state.passphrase = passphrase);
            Ok(())
        })
    }
}

/// Adds a client at the end, ahead of it a comment that the stock service ignores.
fn append(text: &mut Vec<u8>, how: How, enrolment: &Enrolment<'_>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    let how = match how {
        How::FirstClient => "first-client",
        How::Passphrase => "passphrase",
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
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        owner_only(&mut options);
        let file = options.open(&self.lock).map_err(|source| write_error(&self.lock, source))?;
        file.lock().map_err(|source| write_error(&self.lock, source))?;
        Ok(file)
    }

    fn read_clients(&self) -> Result<Clients, StoreError> {
        let text = read(&self.clients)?.unwrap_or_default();
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
    fn set_aside(&self, clients: &mut Clients, now: SystemTime) -> Result<Vec<Damage>, StoreError> {
        if clients.damaged.is_empty() {
            return Ok(Vec::new());
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
        Ok(damaged
            .into_iter()
            .map(|(bytes, reason, _)| Damage { bytes, reason, kept_in: kept_in.clone() })
            .collect())
    }

    fn write_clients(&self, text: &[u8]) -> Result<(), StoreError> {
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
        let Some(bytes) = read(&self.passphrase)? else { return Ok(None) };
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

fn create_private_directory(files: &Files) -> Result<(), StoreError> {
    let Some(directory) = files.clients.parent() else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Ok(()) => Ok(()),
        // Whoever puts certificates there before the first start also makes the directory.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            close_to_others(directory).map_err(|source| write_error(directory, source))
        }
        Err(source) => Err(write_error(directory, source)),
    }
}

#[cfg(unix)]
fn close_to_others(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// The whole file, or `None` if there is none. Every other failure is an error.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A link that leads nowhere, to a disk that is not mounted say, is there and cannot be read.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => return Ok(None),
        Err(source) => return Err(read_error(path, source)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|source| read_error(path, source))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit: MAX_FILE });
    }
    Ok(Some(bytes))
}

fn read_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Read { path: path.to_owned(), source }
}

fn write_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Write { path: path.to_owned(), source }
}
