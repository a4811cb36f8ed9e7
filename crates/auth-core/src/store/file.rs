//! The store on disk, compatible with the stock service in both directions.
//!
//! `<data>/authenticated-certs/multipass_client_certs.pem` holds the clients, as the stock service
//! keeps them; what is ours lies beside it: who was revoked, the passphrase's hash, and a marker that
//! somebody was enrolled once. All changes go through one path: lock, read again, check, write a new file,
//! rename.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use super::files::{self, Clients, Damage, Files, Stamp};
use super::revoked::{self, Revoked};
use super::state::State;
use super::{Change, Enrolment, Outcome, StoreError, TrustStore, TrustedClient, note};
use durable::private;

use crate::{Fingerprint, PassphraseHash};

/// A trust store in a directory.
pub struct FileStore {
    files: Files,
    /// What was last read or written. Written to only after the disk.
    state: RwLock<State>,
    /// One change at a time in this process; the lock file keeps other processes out.
    changing: Mutex<()>,
    /// How the files looked before they were last read, and after what was written then.
    seen: Mutex<Stamp>,
    /// Told of what nobody asked for.
    report: Box<dyn Fn(&Notice) + Send + Sync>,
}

/// What a store has found in its files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A part of the trust file was damaged and set aside.
    Damaged(Damage),
    /// A revoked client's certificate is in the trust file again. It is not trusted.
    RevokedInFile(Fingerprint),
    /// Others are trusted than before, by a change of this store's or by somebody else's.
    TrustChanged {
        /// Those who are not trusted any more.
        gone: Vec<Fingerprint>,
    },
}

/// All that is on the disk.
struct OnDisk {
    clients: Clients,
    revoked: Revoked,
    state: State,
    /// What all that was read from.
    seen: Stamp,
}

impl FileStore {
    /// Opens the store in the data directory, which must exist. Damaged parts of the trust file are
    /// moved to a file beside it, now and later; that, and what else nobody asked for, is told to
    /// `report`. *Blocking*.
    ///
    /// # Errors
    /// A file of the store cannot be read or written.
    pub fn open(
        data: &Path,
        now: SystemTime,
        report: impl Fn(&Notice) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let files = Files::within(data);
        // Whoever puts certificates there before the first start also makes the directory.
        private::directory(&files.directory)
            .map_err(|source| files::write_error(&files.directory, source))?;
        let _lock = files.lock()?;
        let mut seen = files.stamp();
        let mut clients = files.read_clients()?;
        let revoked = files.read_revoked()?;
        let passphrase = files.read_passphrase()?;
        let was_damaged = !clients.damaged.is_empty();
        let nobody_yet = !was_damaged
            && clients.fingerprints.iter().all(|client| revoked.contains_key(client))
            // Who was revoked was somebody, unless the first client is awaited anew.
            && (revoked.is_empty() || files.first_is_awaited()?)
            && !files.somebody_was_enrolled()?;
        // Before anything is moved: damage that was set aside, without the marker, would leave an empty
        // store that awaits its first client after a crash.
        match nobody_yet {
            true => files.await_first(&mut seen)?,
            false => files.mark_enrolled_once(&mut seen)?,
        }
        files.set_aside(&mut clients, now, &|damage| report(&Notice::Damaged(damage)))?;
        if was_damaged {
            files.write_clients(&clients.text, &mut seen)?;
        }
        tell_of_revoked(&clients, &revoked, &report);
        let OnDisk { state, seen, .. } = OnDisk::with(&files, clients, revoked, passphrase, seen)?;
        let seen = Mutex::new(seen);
        let report = Box::new(report);
        Ok(Self { files, state: RwLock::new(state), changing: Mutex::new(()), seen, report })
    }

    /// Whether somebody else has changed the store since it was last read. A look at the files' metadata;
    /// quick, though *blocking*.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.stamp()
    }

    /// How the store's files look now. *Blocking*, as [`Self::is_stale`].
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.files.stamp()
    }

    /// Reads again what is on the disk. *Blocking*.
    ///
    /// # Errors
    /// It cannot be read; what was known before stays in force.
    pub fn reload(&self) -> Result<(), StoreError> {
        self.alone(|disk| {
            tell_of_revoked(&disk.clients, &disk.revoked, &self.report);
            // Who was put there by hand counts as enrolled too.
            if !disk.state.armed {
                self.files.mark_enrolled_once(&mut disk.seen)?;
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
    fn alone<T>(&self, change: impl FnOnce(&mut OnDisk) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.files.lock()?;
        let mut disk = OnDisk::read(&self.files)?;
        let result = change(&mut disk);
        let disk = match &result {
            Ok(_) => Some(disk),
            Err(_) => OnDisk::read(&self.files).ok(),
        };
        // What could not be read is not seen.
        if let Some(OnDisk { state, seen, .. }) = disk {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            self.remember(state);
        }
        result
    }

    fn remember(&self, state: State) {
        let before = {
            let mut known = self.state.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, state)
        };
        let state = self.state();
        let changed = before.clients != state.clients;
        let gone = before.clients.difference(&state.clients).copied().collect();
        drop(state);
        if changed {
            (self.report)(&Notice::TrustChanged { gone });
        }
    }

    fn enrol(&self, disk: &mut OnDisk, enrolment: &Enrolment<'_>) -> Result<(), StoreError> {
        let client = enrolment.certificate.fingerprint();
        if !disk.clients.fingerprints.contains(&client) {
            self.files.set_aside(&mut disk.clients, enrolment.at, &|damage| {
                (self.report)(&Notice::Damaged(damage));
            })?;
            append(&mut disk.clients.text, enrolment);
            self.files.write_clients(&disk.clients.text, &mut disk.seen)?;
        }
        // Only now: until it is in the trust file, nothing may be forgotten.
        if disk.revoked.remove(&client).is_some() {
            self.files.write_revoked(&disk.revoked, &mut disk.seen)?;
        }
        // The client is stored and will be let in, so a failure here is none of the call; a store
        // with clients in it is marked again when it is next opened.
        let _ = self.files.mark_enrolled_once(&mut disk.seen);
        Ok(())
    }

    fn revoke(&self, disk: &mut OnDisk, client: Fingerprint, at: SystemTime) -> Result<(), StoreError> {
        // The enrolment may have failed to say so; without it an emptied store would await its first client.
        self.files.mark_enrolled_once(&mut disk.seen)?;
        // From this write on it is not trusted. Its block goes too, for the stock service, which knows no
        // such list.
        disk.revoked.insert(client, revoked::moment(at));
        self.files.write_revoked(&disk.revoked, &mut disk.seen)?;
        self.files.set_aside(&mut disk.clients, at, &|damage| (self.report)(&Notice::Damaged(damage)))?;
        self.files.write_clients(&files::without(&disk.clients.text, client), &mut disk.seen)
    }
}

impl OnDisk {
    fn read(files: &Files) -> Result<Self, StoreError> {
        // First: what others write from now on may not have been read, and is looked for again.
        let seen = files.stamp();
        Self::with(files, files.read_clients()?, files.read_revoked()?, files.read_passphrase()?, seen)
    }

    fn with(
        files: &Files,
        clients: Clients,
        revoked: Revoked,
        passphrase: Option<PassphraseHash>,
        seen: Stamp,
    ) -> Result<Self, StoreError> {
        let mut trusted = clients.fingerprints.clone();
        trusted.retain(|client| !revoked.contains_key(client));
        let armed = trusted.is_empty() && clients.damaged.is_empty() && files.first_is_awaited()?;
        Ok(Self { clients, revoked, state: State { clients: trusted, passphrase, armed }, seen })
    }
}

fn tell_of_revoked(clients: &Clients, revoked: &Revoked, report: &dyn Fn(&Notice)) {
    for client in revoked.keys().filter(|client| clients.fingerprints.contains(client)) {
        report(&Notice::RevokedInFile(*client));
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

    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
        let mut clients = files::clients_in(&self.files.read_clients()?.text);
        let state = self.state();
        clients.retain(|client| state.clients.contains(&client.fingerprint));
        Ok(clients)
    }

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        self.alone(|disk| {
            // A revocation that failed half way is permitted again, for the block to go as well.
            let left_over = matches!(change, Change::Revoke { client, by, .. }
                if disk.clients.fingerprints.contains(client) && disk.state.trusts(*by));
            if !left_over && !disk.state.permits(change) {
                return Ok(Outcome::ConditionFailed);
            }
            record().map_err(StoreError::NotRecorded)?;
            match change {
                Change::Enrol(enrolment) => self.enrol(disk, enrolment)?,
                Change::Revoke { client, at, .. } => self.revoke(disk, *client, *at)?,
                Change::SetPassphrase { passphrase, .. } => {
                    self.files.write_passphrase(passphrase.as_ref(), &mut disk.seen)?;
                }
                Change::AwaitFirst => self.files.await_first(&mut disk.seen)?,
            }
            disk.state.apply(change);
            Ok(Outcome::Changed)
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

/// Adds a client at the end, ahead of it its note.
fn append(text: &mut Vec<u8>, enrolment: &Enrolment<'_>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(note::write(enrolment).as_bytes());
    text.extend_from_slice(enrolment.certificate.to_pem().as_bytes());
}
