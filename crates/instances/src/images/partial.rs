//! A part of a download, on disk, and what is known of the whole. All of it is *blocking*.
//!
//! Bytes that no tag stands for cannot be gone on with: they are in a file that goes with whoever writes it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use durable::{Readers, private};
use serde::{Deserialize, Serialize};

use tempfile::TempPath;

use super::digest::Hasher;
use durable::FileError;

use super::vault::{KNOWN, PARTIAL, VaultError, open_own};
use super::{Digest, Image, Vault};

/// The most that is read of what is known.
const MAX_KNOWN: u64 = 4096;

/// What is known of what is at an address.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// The server's tag for exactly these bytes.
    pub(super) tag: String,
    /// The image that it became, once it was whole.
    pub(super) image: Option<String>,
}

impl Known {
    /// What is not understood is not known: it is only asked for again.
    pub(super) fn read(vault: &Vault, key: Digest) -> Option<Self> {
        let bytes = private::read(&vault.beside(key, KNOWN), MAX_KNOWN).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::from)?;
        durable::replace(path, &bytes, Readers::Owner).map(drop)
    }
}

/// A file that grows, and the digest of what is in it.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    known: PathBuf,
    tag: Option<String>,
    /// Removes the file, if it has no tag and did not become an image.
    _passing: Option<TempPath>,
    hasher: Hasher,
    length: u64,
    limit: u64,
}

impl Partial {
    /// Starts from nothing, with bytes that `tag` stands for. Without one, they cannot be gone on with later.
    pub(super) fn begin(vault: &Vault, key: Digest, tag: Option<&str>) -> Result<Self, VaultError> {
        let Some(tag) = tag else {
            Self::remove(vault, key);
            return Self::passing(vault, key);
        };
        let partial = Self::open(vault, key, tag)?;
        // In this order: old bytes are never taken for those of the new tag.
        partial
            .file
            .set_len(0)
            .and_then(|()| partial.file.sync_all())
            .map_err(FileError::write(&partial.path))?;
        let known = Known { tag: tag.to_owned(), image: None };
        known.write(&partial.known).map_err(FileError::write(&partial.known))?;
        Ok(partial)
    }

    /// Goes on where it broke off. What is there is read once more, for the digest.
    pub(super) fn resume(vault: &Vault, key: Digest, tag: &str) -> Result<Self, VaultError> {
        let mut partial = Self::open(vault, key, tag)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = partial.file.read(&mut buffer).map_err(FileError::read(&partial.path))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            partial.hasher.update(bytes);
            partial.grow(count)?;
        }
        Ok(partial)
    }

    fn open(vault: &Vault, key: Digest, tag: &str) -> Result<Self, VaultError> {
        let path = vault.beside(key, PARTIAL);
        let file = open_own(&path).map_err(FileError::write(&path))?;
        Ok(Self { tag: Some(tag.to_owned()), ..Self::of(vault, key, file, path) })
    }

    fn passing(vault: &Vault, key: Digest) -> Result<Self, VaultError> {
        let (file, path) = vault.new_file()?.into_parts();
        let passing = Self::of(vault, key, file, path.to_path_buf());
        Ok(Self { _passing: Some(path), ..passing })
    }

    fn of(vault: &Vault, key: Digest, file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            known: vault.beside(key, KNOWN),
            tag: None,
            _passing: None,
            hasher: Hasher::default(),
            length: 0,
            limit: vault.largest,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes the next bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.grow(bytes.len())?;
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes).map_err(FileError::write(&self.path))?)
    }

    fn grow(&mut self, count: usize) -> Result<(), VaultError> {
        self.length += count as u64;
        if self.length > self.limit {
            return Err(VaultError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// Makes an image of it.
    pub(super) fn finish(mut self, vault: &Vault, expected: Option<Digest>) -> Result<Image, VaultError> {
        self.file.rewind().map_err(FileError::read(&self.path))?;
        let digest = self.hasher.clone().finish();
        let image = vault.adopt(&mut self.file, &self.path, digest, expected)?;
        // Where the same was there already. What stays is started over or pruned.
        let _ = remove(&self.path);
        if let Some(tag) = self.tag {
            // It only saves a later download.
            let _ = Known { tag, image: Some(digest.to_string()) }.write(&self.known);
        }
        Ok(image)
    }

    /// Gives it up, with what is known of it.
    pub(super) fn remove(vault: &Vault, key: Digest) {
        // What stays is not whole, and is started over or pruned.
        let _ = remove(&vault.beside(key, PARTIAL));
        let _ = remove(&vault.beside(key, KNOWN));
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
