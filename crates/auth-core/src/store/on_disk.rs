//! All that the store's files say at one moment, and what follows from it. It reads, and writes nothing.

use std::collections::HashMap;

use super::StoreError;
use super::files::{self, Clients, DamagedPart, Files, Stamp};
use super::revoked::Revoked;
use super::state::State;
use crate::{ClientName, Fingerprint, Level};

/// All that is on the disk.
pub(super) struct OnDisk {
    clients: Clients,
    read_only: Clients,
    pub(super) revoked: Revoked,
    pub(super) damaged_tokens: Vec<DamagedPart>,
    pub(super) state: State,
    /// What all that was read from.
    pub(super) seen: Stamp,
}

impl OnDisk {
    pub(super) fn read(files: &Files) -> Result<Self, StoreError> {
        // First: what others write from now on may not have been read, and is looked for again.
        let seen = files.stamp();
        let (clients, read_only) = (files.read_clients(Level::Full)?, files.read_clients(Level::ReadOnly)?);
        let revoked = files.read_revoked()?;
        let passphrase = files.read_passphrase()?;
        let passphrase_is_decided = files.passphrase_is_decided()?;
        let (tokens, damaged_tokens) = files.read_tokens()?;
        let trusted = trusted(&clients, &read_only, &revoked);
        let state = State { clients: trusted, passphrase, passphrase_is_decided, tokens, armed: false };
        let mut disk = Self { clients, read_only, revoked, damaged_tokens, state, seen };
        disk.state.armed = disk.state.clients.is_empty() && disk.is_whole() && files.first_is_awaited()?;
        Ok(disk)
    }

    pub(super) fn of(&self, level: Level) -> &Clients {
        match level {
            Level::Full => &self.clients,
            Level::ReadOnly => &self.read_only,
        }
    }

    /// The clients of a level, to be changed, and what is seen of their file.
    pub(super) fn of_mut(&mut self, level: Level) -> (&mut Clients, &mut Stamp) {
        match level {
            Level::Full => (&mut self.clients, &mut self.seen),
            Level::ReadOnly => (&mut self.read_only, &mut self.seen),
        }
    }

    /// Whether no part of a file of clients is damaged.
    pub(super) fn is_whole(&self) -> bool {
        Level::ALL.into_iter().all(|level| self.of(level).damaged.is_empty())
    }

    /// Those who are in both files, and so may only read.
    pub(super) fn in_both(&self) -> impl Iterator<Item = Fingerprint> {
        self.clients.fingerprints.intersection(&self.read_only.fingerprints).copied()
    }

    /// What a client is called, if it is in either file.
    pub(super) fn name_of(&self, client: Fingerprint) -> Option<ClientName> {
        let files = [&self.clients, &self.read_only].into_iter();
        files
            .filter(|file| file.fingerprints.contains(&client))
            .flat_map(|file| files::clients_in(&file.text, file.level))
            .find(|found| found.fingerprint == client && found.name.is_some())
            .and_then(|found| found.name?.parse().ok())
    }
}

/// Who is trusted, and at which level, whatever the files name in vain.
fn trusted(clients: &Clients, read_only: &Clients, revoked: &Revoked) -> HashMap<Fingerprint, Level> {
    let mut trusted = HashMap::with_capacity(clients.fingerprints.len() + read_only.fingerprints.len());
    // In this order: who is in both may only read.
    for file in [clients, read_only] {
        let those = file.fingerprints.iter().filter(|client| !revoked.contains_key(client));
        trusted.extend(those.map(|client| (*client, file.level)));
    }
    trusted
}
