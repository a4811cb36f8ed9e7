//! The store's files: where they are, how each is read, and how each is written.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::pem_file::{self, Kind};
use super::revoked::{self, Revoked};
use super::tokens::Tokens;
use super::{StoreError, TrustedClient, note};
use durable::{FileError, Readers, private};

use crate::{ClientName, Fingerprint, Level, PassphraseHash};

/// The most that is read of any file of the store: 100,000 clients take about 100 MB.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// The most that is read of the file of tokens: a thousand take 400 kB.
const MAX_TOKENS: u64 = 1024 * 1024;

/// The bytes that a client of our own takes in the trust file, at least: a block of P-256 with its note.
const SMALLEST_ENTRY: usize = 700;

/// Where the store's files are.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
    lock: PathBuf,
    /// The trust file, as the stock service has it: who is in it may do everything.
    clients: PathBuf,
    /// Those that may only read. Apart from the others, because the stock service honours whatever is in the
    /// trust file.
    read_only: PathBuf,
    revoked: PathBuf,
    passphrase: PathBuf,
    /// Apart from all else, because the stock service has no such thing.
    tokens: PathBuf,
    /// Exists as long as the first client is awaited. Its enrolment renames it to the next one: a rename
    /// succeeds on a full disk.
    first_awaited: PathBuf,
    /// Exists from the first enrolment on, so that a store that was emptied enrols nobody.
    enrolled_once: PathBuf,
}

/// The trust file, or that of those that may only read: read and understood.
pub(super) struct Clients {
    /// How much those in it may do.
    pub(super) level: Level,
    /// The text without its damaged parts.
    pub(super) text: Vec<u8>,
    pub(super) fingerprints: HashSet<Fingerprint>,
    pub(super) damaged: Vec<DamagedPart>,
}

impl Clients {
    /// Takes a client out of it.
    pub(super) fn take_out(&mut self, client: Fingerprint) {
        self.text = without(&self.text, client);
        self.fingerprints.remove(&client);
    }
}

pub(super) struct DamagedPart {
    pub(super) place: Range<usize>,
    pub(super) reason: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A damaged part of a file of clients or tokens, which was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Its place in the file, in bytes from the start.
    pub bytes: Range<usize>,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Where the bytes were moved to.
    pub kept_in: PathBuf,
}

/// How the store's files look: equal as long as nobody has written to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    clients: Option<FileStamp>,
    read_only: Option<FileStamp>,
    revoked: Option<FileStamp>,
    passphrase: Option<FileStamp>,
    tokens: Option<FileStamp>,
    first_awaited: Option<FileStamp>,
}

impl Stamp {
    fn of_clients(&mut self, level: Level) -> &mut Option<FileStamp> {
        match level {
            Level::Full => &mut self.clients,
            Level::ReadOnly => &mut self.read_only,
        }
    }
}

/// What changes when a file is written to or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileStamp {
    /// None if there is no such file, or it cannot be looked at.
    fn at(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode }
    }
}

impl Files {
    pub(super) fn within(data: &Path) -> Self {
        let directory = data.join("authenticated-certs");
        Self {
            lock: data.join("lock"),
            clients: directory.join("multipass_client_certs.pem"),
            read_only: directory.join("read-only-clients.pem"),
            revoked: directory.join("revoked"),
            passphrase: directory.join("passphrase.phc"),
            tokens: directory.join("tokens"),
            first_awaited: directory.join("first-client-awaited"),
            enrolled_once: directory.join("enrolled-once"),
            directory,
        }
    }

    /// Waits for the lock that every process which changes the store holds. It is released when the
    /// returned file is dropped.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let file = private::lock_file(&self.lock).map_err(FileError::write(&self.lock))?;
        file.lock().map_err(FileError::write(&self.lock))?;
        durable::clear_leftovers(&self.directory).map_err(FileError::write(&self.directory))?;
        Ok(file)
    }

    /// How the files look now. What is written here is noted in such a stamp as it is written: whoever looked
    /// again afterwards would take what others have written since for seen.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            clients: FileStamp::at(&self.clients),
            read_only: FileStamp::at(&self.read_only),
            revoked: FileStamp::at(&self.revoked),
            passphrase: FileStamp::at(&self.passphrase),
            tokens: FileStamp::at(&self.tokens),
            first_awaited: FileStamp::at(&self.first_awaited),
        }
    }

    /// Where clients of a level are.
    pub(super) fn of_clients(&self, level: Level) -> &Path {
        match level {
            Level::Full => &self.clients,
            Level::ReadOnly => &self.read_only,
        }
    }

    pub(super) fn read_clients(&self, level: Level) -> Result<Clients, StoreError> {
        let text = read(self.of_clients(level), MAX_FILE)?.unwrap_or_default();
        let mut fingerprints = HashSet::with_capacity(text.len() / SMALLEST_ENTRY);
        let mut damaged = Vec::new();
        for part in pem_file::parse(&text) {
            match part.kind {
                Kind::Text => {}
                Kind::Certificate(certificate) => {
                    fingerprints.insert(certificate.fingerprint());
                }
                Kind::Damaged(reason) => {
                    let bytes = text.get(part.bytes.clone()).unwrap_or_default().to_vec();
                    damaged.push(DamagedPart { place: part.bytes, reason, bytes });
                }
            }
        }
        let mut kept = text;
        for part in damaged.iter().rev() {
            kept.drain(part.place.clone());
        }
        Ok(Clients { level, text: kept, fingerprints, damaged })
    }

    /// Replaces a file of clients, which was read when it looked as `seen` says.
    pub(super) fn write_clients(
        &self,
        level: Level,
        text: &[u8],
        seen: &mut Stamp,
    ) -> Result<(), StoreError> {
        let (path, seen) = (self.of_clients(level), seen.of_clients(level));
        // What was written by hand meanwhile must not be lost.
        if FileStamp::at(path) != *seen {
            let changed = io::Error::other("somebody else has changed it just now; try again");
            return Err(FileError::write(path)(changed).into());
        }
        // What would not be read again must not be written.
        if text.len() as u64 > MAX_FILE {
            let full = io::Error::new(io::ErrorKind::FileTooLarge, "there is no room for more clients");
            return Err(FileError::write(path)(full).into());
        }
        *seen = Some(replace(path, text)?);
        Ok(())
    }

    pub(super) fn read_tokens(&self) -> Result<(Tokens, Vec<DamagedPart>), StoreError> {
        Ok(Tokens::read(&read(&self.tokens, MAX_TOKENS)?.unwrap_or_default()))
    }

    pub(super) fn write_tokens(&self, tokens: &Tokens, seen: &mut Stamp) -> Result<(), StoreError> {
        seen.tokens = Some(replace(&self.tokens, tokens.write().as_bytes())?);
        Ok(())
    }

    /// Where tokens are.
    pub(super) fn of_tokens(&self) -> &Path {
        &self.tokens
    }

    /// Writes the damaged parts of a file to one of their own, before the file is written without them.
    pub(super) fn set_aside(
        &self,
        file: &Path,
        damaged: &mut Vec<DamagedPart>,
        now: SystemTime,
        report: &dyn Fn(Damage),
    ) -> Result<(), StoreError> {
        if damaged.is_empty() {
            return Ok(());
        }
        let path_at = |nanoseconds: u128| {
            let mut path = file.as_os_str().to_owned();
            path.push(format!(".damaged-{nanoseconds}"));
            PathBuf::from(path)
        };
        let mut nanoseconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // What was set aside earlier is never overwritten, even if the clock stands still.
        while path_at(nanoseconds).symlink_metadata().is_ok() {
            nanoseconds += 1;
        }
        let kept_in = path_at(nanoseconds);
        let damaged = std::mem::take(damaged);
        let bytes: Vec<u8> = damaged.iter().flat_map(|part| part.bytes.iter().copied()).collect();
        replace(&kept_in, &bytes)?;
        for part in damaged {
            let (file, kept_in) = (file.to_owned(), kept_in.clone());
            report(Damage { file, bytes: part.place, reason: part.reason, kept_in });
        }
        Ok(())
    }

    pub(super) fn read_revoked(&self) -> Result<Revoked, StoreError> {
        let text = read(&self.revoked, MAX_FILE)?.unwrap_or_default();
        revoked::read(&text).map_err(|line| StoreError::NotRevoked { path: self.revoked.clone(), line })
    }

    pub(super) fn write_revoked(&self, revoked: &Revoked, seen: &mut Stamp) -> Result<(), StoreError> {
        seen.revoked = Some(replace(&self.revoked, revoked::write(revoked).as_bytes())?);
        Ok(())
    }

    pub(super) fn read_passphrase(&self) -> Result<Option<PassphraseHash>, StoreError> {
        let Some(bytes) = read(&self.passphrase, MAX_FILE)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end() {
            "" => Ok(None),
            hash => PassphraseHash::from_stored(hash)
                .map(Some)
                .map_err(|_| StoreError::NotAPassphraseHash { path: self.passphrase.clone() }),
        }
    }

    /// Whether anybody ever said here whether there is a passphrase, and which.
    pub(super) fn passphrase_is_decided(&self) -> Result<bool, FileError> {
        exists(&self.passphrase)
    }

    /// An unset passphrase is an empty file, so that unsetting takes the same path as setting.
    pub(super) fn write_passphrase(
        &self,
        passphrase: Option<&PassphraseHash>,
        seen: &mut Stamp,
    ) -> Result<(), StoreError> {
        let mut text = passphrase.map(PassphraseHash::as_stored).unwrap_or_default();
        if passphrase.is_some() {
            text.push('\n');
        }
        seen.passphrase = Some(replace(&self.passphrase, text.as_bytes())?);
        Ok(())
    }

    /// Whether the markers say that nobody was ever enrolled, or that the first client is awaited again.
    pub(super) fn first_is_awaited(&self) -> Result<bool, StoreError> {
        Ok(exists(&self.first_awaited)? && !self.somebody_was_enrolled()?)
    }

    pub(super) fn somebody_was_enrolled(&self) -> Result<bool, FileError> {
        exists(&self.enrolled_once)
    }

    /// Awaits the first client, whatever was before.
    pub(super) fn await_first(&self, seen: &mut Stamp) -> Result<(), StoreError> {
        const TEXT: &[u8] = b"The first client is awaited; this file is renamed when it is enrolled.\n";
        seen.first_awaited = if self.somebody_was_enrolled()? {
            let marker = FileStamp::at(&self.enrolled_once);
            durable::rename(&self.enrolled_once, &self.first_awaited)
                .map_err(FileError::write(&self.first_awaited))?;
            marker
        } else {
            Some(replace(&self.first_awaited, TEXT)?)
        };
        Ok(())
    }

    pub(super) fn mark_enrolled_once(&self, seen: &mut Stamp) -> Result<(), StoreError> {
        const TEXT: &[u8] = b"A client was enrolled here once; nobody is enrolled for being first again.\n";
        if self.somebody_was_enrolled()? {
            return Ok(());
        }
        match durable::rename(&self.first_awaited, &self.enrolled_once) {
            Ok(()) => seen.first_awaited = None,
            Err(_) => {
                replace(&self.enrolled_once, TEXT)?;
            }
        }
        Ok(())
    }
}

/// Who is in the text of a file of clients, with what it says of each.
pub(super) fn clients_in(text: &[u8], level: Level) -> impl Iterator<Item = TrustedClient> {
    pem_file::parse(text).filter_map(move |part| match part.kind {
        Kind::Certificate(certificate) => {
            let before = text.get(..part.bytes.start).unwrap_or_default();
            Some(note::read(before, certificate.fingerprint(), level))
        }
        _ => None,
    })
}

/// A client's block in a text, with the note that belongs to it.
pub(super) fn entry(text: &[u8], client: Fingerprint) -> Option<Vec<u8>> {
    pem_file::parse(text).find_map(|part| match part.kind {
        Kind::Certificate(certificate) if certificate.fingerprint() == client => {
            let before = text.get(..part.bytes.start).unwrap_or_default();
            let mut entry = before.get(note::start(before)..).unwrap_or_default().to_vec();
            entry.extend_from_slice(certificate.to_pem().as_bytes());
            Some(entry)
        }
        _ => None,
    })
}

/// A text in which a client's notes call it `name`.
pub(super) fn renamed(text: &[u8], client: Fingerprint, name: &ClientName) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len() + SMALLEST_ENTRY);
    for part in pem_file::parse(text) {
        if matches!(&part.kind, Kind::Certificate(certificate) if certificate.fingerprint() == client) {
            let start = note::start(&kept);
            let note = note::renamed(kept.get(start..).unwrap_or_default(), name);
            kept.truncate(start);
            end_line(&mut kept);
            kept.extend_from_slice(note.as_bytes());
        }
        kept.extend_from_slice(text.get(part.bytes).unwrap_or_default());
    }
    kept
}

/// Makes what follows a line of its own.
pub(super) fn end_line(text: &mut Vec<u8>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
}

/// A text without a client's blocks, and the notes that belong to them.
fn without(text: &[u8], client: Fingerprint) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut removed = false;
    for part in pem_file::parse(text) {
        let bytes = text.get(part.bytes).unwrap_or_default();
        if matches!(&part.kind, Kind::Certificate(certificate) if certificate.fingerprint() == client) {
            kept.truncate(note::start(&kept));
            removed = true;
            continue;
        }
        // The end of the removed block's last line.
        let line_end = [b"\r\n".as_slice(), b"\n"].into_iter().find_map(|end| bytes.strip_prefix(end));
        kept.extend_from_slice(line_end.filter(|_| removed).unwrap_or(bytes));
        removed = false;
    }
    kept
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    private::read(path, limit).map_err(FileError::read(path))
}

/// Whether anything has that name: a link that leads nowhere is no missing marker.
fn exists(path: &Path) -> Result<bool, FileError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::read(path)(error)),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<FileStamp, FileError> {
    durable::replace(path, bytes, Readers::Owner)
        .map(|written| FileStamp::of(&written))
        .map_err(FileError::write(path))
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
        let mut seen = files.stamp();
        files.write_clients(Level::Full, b"# the old ones\n", &mut seen).unwrap();
        // Never touched, so that it takes no memory.
        let too_long = vec![0; usize::try_from(MAX_FILE).unwrap() + 1];
        let error = files.write_clients(Level::Full, &too_long, &mut seen).unwrap_err();
        assert!(
            matches!(&error, StoreError::File(FileError::Write { path, source })
                if *path == files.clients && source.kind() == io::ErrorKind::FileTooLarge),
            "{error:?}"
        );
        assert_eq!(files.read_clients(Level::Full).unwrap().text, b"# the old ones\n");
        assert_eq!(std::fs::read_dir(&files.directory).unwrap().count(), 1, "nothing else is left");
    }
}
