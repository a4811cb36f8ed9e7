//! The store on disk, compatible with the stock service in both directions.
//!
//! `<data>/authenticated-certs/multipass_client_certs.pem` holds the clients that may do everything, as the
//! stock service keeps them; what is ours lies beside it: those that may only read, who was revoked, the
//! passphrase's hash, the tokens, and a marker that somebody was enrolled once. All changes go through one path: lock,
//! read again, check, write a new file, rename.
//!
//! A client that is in both files may only read. So a change of level takes effect with one write, that of
//! the file of those that may only read: whoever is to do more is put into the trust file first, and whoever
//! is to do less is taken out of it last. Whoever was revoked is not trusted whichever file names him.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use super::files::{self, Clients, Damage, Files, Stamp};
use super::on_disk::OnDisk;
use super::revoked;
use super::state::State;
use super::takeover::TakeOver;
use super::{Change, Enrolment, Outcome, StoreError, TrustStore, TrustedClient, note};
use durable::{FileError, private};

use crate::{
    ClientCertificate, ClientName, Fingerprint, InvalidToken, Level, Moment, PassphraseHash, Token, TokenHash,
};

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
    /// A part of a file of clients or tokens was damaged and set aside.
    Damaged(Damage),
    /// So many parts of a file of clients are damaged, and not read. They are where they were, for whoever changed the
    /// file: only the next change of that file by the store, or its next opening, sets them aside.
    DamageFound {
        /// The file.
        file: PathBuf,
        /// How many.
        parts: usize,
    },
    /// A revoked client's certificate is in the trust file again. It is not trusted.
    RevokedInFile(Fingerprint),
    /// The certificate of a client that may only read is in the trust file. It may still only read.
    ReadOnlyInFile(Fingerprint),
    /// Others are trusted than before, or may do something else, by a change of this store's or by somebody
    /// else's.
    TrustChanged {
        /// Those who are not trusted any more.
        gone: Vec<Fingerprint>,
        /// Those who may do less than before.
        reduced: Vec<Fingerprint>,
    },
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
        private::directory(&files.directory).map_err(FileError::write(&files.directory))?;
        let _lock = files.lock()?;
        let mut disk = OnDisk::read(&files)?;
        let mut store = Self {
            files,
            state: RwLock::default(),
            changing: Mutex::default(),
            seen: Mutex::new(disk.seen.clone()),
            report: Box::new(report),
        };
        // Before anything is moved: damage that was set aside, without the marker, would leave an empty
        // store that awaits its first client after a crash.
        store.settle_first_client(&mut disk)?;
        store.tell_of_strays(&disk);
        store.mend_clients(&mut disk, now)?;
        store.mend_tokens(&mut disk, now)?;
        (store.state, store.seen) = (RwLock::new(disk.state), Mutex::new(disk.seen));
        Ok(store)
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
            self.tell_of_damage(disk);
            self.tell_of_strays(disk);
            // Who was put there by hand counts as enrolled too.
            if !disk.state.armed {
                self.files.mark_enrolled_once(&mut disk.seen)?;
            }
            if disk.state.sweep_tokens(Moment::of_no_clock()) {
                // They cannot be redeemed either way.
                let _ = self.write_tokens(disk, SystemTime::now());
            }
            Ok(())
        })
    }

    /// Takes out the tokens that have expired, and writes down how late it is, if either is due: something to take
    /// out, or so much time since that was last written. *Blocking*, if it is.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub fn tend_tokens(&self, now: Moment, much: Duration) -> Result<(), StoreError> {
        if !self.state().tokens.are_due(now, much) {
            return Ok(());
        }
        self.alone(|disk| {
            disk.state.sweep_tokens(now);
            disk.state.tokens.advance(now);
            self.write_tokens(disk, now.clock)
        })
    }

    /// Those who were revoked and not trusted since, whatever the trust file says. *Blocking*.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn revoked(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        Ok(self.files.read_revoked()?.into_keys().collect())
    }

    /// Awaits the first client if nobody was ever enrolled, and else writes down that somebody was.
    fn settle_first_client(&self, disk: &mut OnDisk) -> Result<(), StoreError> {
        let nobody_yet = disk.is_whole()
            && disk.state.clients.is_empty()
            // Who was revoked was somebody, unless the first client is awaited again.
            && (disk.revoked.is_empty() || self.files.first_is_awaited()?)
            && !self.files.somebody_was_enrolled()?;
        disk.state.armed = nobody_yet;
        match nobody_yet {
            true => self.files.await_first(&mut disk.seen),
            false => self.files.mark_enrolled_once(&mut disk.seen),
        }
    }

    /// Tells of files of clients that cannot be read in full.
    fn tell_of_damage(&self, disk: &OnDisk) {
        for level in Level::ALL {
            let parts = disk.of(level).damaged.len();
            if parts > 0 {
                let file = self.files.of_clients(level).to_owned();
                (self.report)(&Notice::DamageFound { file, parts });
            }
        }
    }

    /// Tells of those whom the trust file, or either, names in vain.
    fn tell_of_strays(&self, disk: &OnDisk) {
        let is_in = |level, client: &Fingerprint| disk.of(level).fingerprints.contains(client);
        let is_named = |client: &&Fingerprint| Level::ALL.into_iter().any(|level| is_in(level, client));
        for client in disk.revoked.keys().filter(is_named) {
            (self.report)(&Notice::RevokedInFile(*client));
        }
        for client in disk.in_both() {
            (self.report)(&Notice::ReadOnlyInFile(client));
        }
    }

    /// Sets damaged parts of the files of clients aside. And takes those who may only read out of the trust file: a
    /// change of level may have stopped half-way, and the stock service knows no other file.
    fn mend_clients(&self, disk: &mut OnDisk, now: SystemTime) -> Result<(), StoreError> {
        let strays: Vec<Fingerprint> = disk.in_both().collect();
        for (level, strays) in [(Level::Full, strays.as_slice()), (Level::ReadOnly, &[])] {
            if !disk.of(level).damaged.is_empty() || !strays.is_empty() {
                self.rewrite(disk, level, now, |clients| {
                    strays.iter().for_each(|client| clients.take_out(*client));
                })?;
            }
        }
        Ok(())
    }

    /// Takes out the tokens that have ended, and sets what is damaged in their file aside.
    fn mend_tokens(&self, disk: &mut OnDisk, now: SystemTime) -> Result<(), StoreError> {
        let have_ended = disk.state.sweep_tokens(Moment::at(now));
        match have_ended || !disk.damaged_tokens.is_empty() {
            true => self.write_tokens(disk, now),
            false => Ok(()),
        }
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
        let read = || {
            let mut disk = OnDisk::read(&self.files)?;
            disk.state.tokens.go_on_from(&self.state().tokens);
            Ok::<_, StoreError>(disk)
        };
        let mut disk = read()?;
        let result = change(&mut disk);
        let disk = match &result {
            Ok(_) => Some(disk),
            Err(_) => read().ok(),
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
        if before.clients == state.clients {
            return;
        }
        let (mut gone, mut reduced) = (Vec::new(), Vec::new());
        for (client, level) in before.clients {
            match state.clients.get(&client) {
                None => gone.push(client),
                Some(now) if *now < level => reduced.push(client),
                Some(_) => {}
            }
        }
        drop(state);
        (self.report)(&Notice::TrustChanged { gone, reduced });
    }

    fn enrol(&self, disk: &mut OnDisk, enrolment: &Enrolment<'_>) -> Result<(), StoreError> {
        let Enrolment { certificate, level, at, .. } = enrolment;
        let client = certificate.fingerprint();
        if !disk.of(*level).fingerprints.contains(&client) {
            let mut entry = note::write(enrolment, disk.name_of(client).as_ref());
            entry.push_str(&certificate.to_pem());
            self.put(disk, *level, client, entry.as_bytes(), *at)?;
        }
        self.take_out(disk, other(*level), client, *at)?;
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
        self.take_out(disk, Level::Full, client, at)?;
        self.take_out(disk, Level::ReadOnly, client, at)
    }

    fn set_level(
        &self,
        disk: &mut OnDisk,
        client: Fingerprint,
        level: Level,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        if !disk.of(level).fingerprints.contains(&client)
            && let Some(entry) = files::entry(&disk.of(other(level)).text, client)
        {
            self.put(disk, level, client, &entry, at)?;
        }
        self.take_out(disk, other(level), client, at)
    }

    fn rename(
        &self,
        disk: &mut OnDisk,
        client: Fingerprint,
        name: &ClientName,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        for level in Level::ALL {
            if disk.of(level).fingerprints.contains(&client) {
                self.rewrite(disk, level, at, |clients| {
                    clients.text = files::renamed(&clients.text, client, name);
                })?;
            }
        }
        Ok(())
    }

    fn take_over(&self, disk: &mut OnDisk, what: &TakeOver<'_>) -> Result<(), StoreError> {
        match what {
            TakeOver::Clients { certificates, at } => self.take_clients_over(disk, certificates, *at),
            TakeOver::Passphrase(hash) | TakeOver::Rehash { own: hash, .. } => {
                self.files.write_passphrase(Some(hash), &mut disk.seen)
            }
        }
    }

    /// Adds all of them with one write.
    fn take_clients_over(
        &self,
        disk: &mut OnDisk,
        certificates: &[ClientCertificate],
        at: SystemTime,
    ) -> Result<(), StoreError> {
        let note = note::of_migrated(at);
        self.rewrite(disk, Level::Full, at, |clients| {
            files::end_line(&mut clients.text);
            for certificate in certificates {
                if clients.fingerprints.insert(certificate.fingerprint()) {
                    clients.text.extend_from_slice(note.as_bytes());
                    clients.text.extend_from_slice(certificate.to_pem().as_bytes());
                }
            }
        })?;
        // As after an enrolment.
        let _ = self.files.mark_enrolled_once(&mut disk.seen);
        Ok(())
    }

    /// Adds a client to the file of a level, at its end.
    fn put(
        &self,
        disk: &mut OnDisk,
        level: Level,
        client: Fingerprint,
        entry: &[u8],
        at: SystemTime,
    ) -> Result<(), StoreError> {
        self.rewrite(disk, level, at, |clients| {
            files::end_line(&mut clients.text);
            clients.text.extend_from_slice(entry);
            clients.fingerprints.insert(client);
        })
    }

    /// Takes a client out of the file of a level, if it is in there.
    fn take_out(
        &self,
        disk: &mut OnDisk,
        level: Level,
        client: Fingerprint,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        match disk.of(level).fingerprints.contains(&client) {
            true => self.rewrite(disk, level, at, |clients| clients.take_out(client)),
            false => Ok(()),
        }
    }

    /// Writes the file of a level with a change in it. What is damaged is not written again.
    fn rewrite(
        &self,
        disk: &mut OnDisk,
        level: Level,
        at: SystemTime,
        change: impl FnOnce(&mut Clients),
    ) -> Result<(), StoreError> {
        let (clients, seen) = disk.of_mut(level);
        let (file, damaged) = (self.files.of_clients(level), &mut clients.damaged);
        self.files.set_aside(file, damaged, at, &|damage| (self.report)(&Notice::Damaged(damage)))?;
        change(clients);
        self.files.write_clients(level, &clients.text, seen)
    }

    /// Writes the file of tokens. What is damaged is not written again.
    fn write_tokens(&self, disk: &mut OnDisk, at: SystemTime) -> Result<(), StoreError> {
        let (file, damaged) = (self.files.of_tokens(), &mut disk.damaged_tokens);
        self.files.set_aside(file, damaged, at, &|damage| (self.report)(&Notice::Damaged(damage)))?;
        // Never an earlier time than the file has.
        disk.state.tokens.advance(Moment::of_no_clock());
        self.files.write_tokens(&disk.state.tokens, &mut disk.seen)
    }
}

/// The level that there is beside `level`.
fn other(level: Level) -> Level {
    match level {
        Level::Full => Level::ReadOnly,
        Level::ReadOnly => Level::Full,
    }
}

impl TrustStore for FileStore {
    fn level(&self, client: &Fingerprint) -> Option<Level> {
        self.state().clients.get(client).copied()
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

    fn token(&self, hash: &TokenHash) -> Result<Token, InvalidToken> {
        self.state().token(hash)
    }

    fn tokens(&self, at: Moment) -> Vec<Token> {
        self.state().live_tokens(at).cloned().collect()
    }

    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
        let mut clients = Vec::new();
        for level in Level::ALL {
            let text = self.files.read_clients(level)?.text;
            let state = self.state();
            // Of one that is in both files, what the file of its level says.
            clients.extend(
                files::clients_in(&text, level)
                    .filter(|client| state.clients.get(&client.fingerprint) == Some(&level)),
            );
        }
        Ok(clients)
    }

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        self.alone(|disk| {
            let at = change.moment().map_or_else(SystemTime::now, |at| at.clock);
            // A revocation that failed half way is permitted again, for the block to go as well.
            let left_over = matches!(change, Change::Revoke { client, by, .. }
                if Level::ALL.into_iter().any(|level| disk.of(level).fingerprints.contains(client))
                    && disk.state.obeys(*by));
            let brings_back = matches!(change, Change::TakeOver(what) if what.brings_back(&disk.revoked));
            if brings_back || (!left_over && !disk.state.permits(change)) {
                if disk.state.apply_refusal(change) {
                    self.write_tokens(disk, at)?;
                }
                return Ok(Outcome::ConditionFailed);
            }
            record().map_err(StoreError::NotRecorded)?;
            // Who is to do less loses that first, and then his tokens, which are void from that moment on.
            let takes_away =
                matches!(change, Change::Revoke { .. } | Change::SetLevel { level: Level::ReadOnly, .. });
            if !takes_away && disk.state.apply_to_tokens(change) {
                self.write_tokens(disk, at)?;
            }
            match change {
                Change::Enrol(enrolment) => self.enrol(disk, enrolment)?,
                Change::Revoke { client, at, .. } => self.revoke(disk, *client, *at)?,
                Change::SetLevel { client, level, at, .. } => self.set_level(disk, *client, *level, *at)?,
                Change::Rename { client, name, at, .. } => self.rename(disk, *client, name, *at)?,
                Change::SetPassphrase { passphrase, .. } => {
                    self.files.write_passphrase(passphrase.as_ref(), &mut disk.seen)?;
                }
                Change::AwaitFirst => self.files.await_first(&mut disk.seen)?,
                Change::CreateToken { .. } | Change::RevokeToken { .. } => {}
                Change::TakeOver(what) => self.take_over(disk, what)?,
            }
            let ended_before = takes_away && disk.state.apply_to_tokens(change);
            if disk.state.apply_to_trust(change) || ended_before {
                // If this fails they are there, and void; they are taken out before that client is enrolled again.
                let _ = self.write_tokens(disk, at);
            }
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
