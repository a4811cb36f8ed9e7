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

use super::store::{ImageStoreError, KNOWN, PARTIAL, open_own};
use super::{Digest, Image, ImageStore};

/// The most that is read of what is known.
const MAX_KNOWN: u64 = 4096;

/// What is known of what is at an address.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeInfo {
    /// The server's tag for exactly these bytes.
    pub(super) tag: String,
    /// The image that it became, once it was whole.
    pub(super) image: Option<String>,
}

impl ResumeInfo {
    /// What is not understood is not known: it is only asked for again.
    pub(super) fn read(store: &ImageStore, key: Digest) -> Option<Self> {
        let bytes = private::read(&store.beside(key, KNOWN), MAX_KNOWN).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::from)?;
        durable::replace(path, &bytes, Readers::Owner).map(drop)
    }
}

/// A file that grows, and the digest of what is in it.
#[derive(Debug)]
pub(super) struct PartialImage {
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

impl PartialImage {
    /// Starts from nothing, with bytes that `tag` stands for. Without one, they cannot be gone on with later.
    pub(super) fn begin(store: &ImageStore, key: Digest, tag: Option<&str>) -> Result<Self, ImageStoreError> {
        let Some(tag) = tag else {
            Self::remove(store, key);
            return Self::passing(store, key);
        };
        let partial = Self::open(store, key, tag)?;
        // In this order: old bytes are never taken for those of the new tag.
        partial
            .file
            .set_len(0)
            .and_then(|()| partial.file.sync_all())
            .map_err(FileError::write(&partial.path))?;
        let known = ResumeInfo { tag: tag.to_owned(), image: None };
        known.write(&partial.known).map_err(FileError::write(&partial.known))?;
        Ok(partial)
    }

    /// Goes on where it broke off. What is there is read once more, for the digest.
    pub(super) fn resume(store: &ImageStore, key: Digest, tag: &str) -> Result<Self, ImageStoreError> {
        let mut partial = Self::open(store, key, tag)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = partial.file.read(&mut buffer).map_err(FileError::read(&partial.path))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            partial.hasher.update(bytes);
            partial.grow(count)?;
        }
        Ok(partial)
    }

    fn open(store: &ImageStore, key: Digest, tag: &str) -> Result<Self, ImageStoreError> {
        let path = store.beside(key, PARTIAL);
        let file = open_own(&path).map_err(FileError::write(&path))?;
        Ok(Self { tag: Some(tag.to_owned()), ..Self::of(store, key, file, path) })
    }

    fn passing(store: &ImageStore, key: Digest) -> Result<Self, ImageStoreError> {
        let (file, path) = store.new_file()?.into_parts();
        let passing = Self::of(store, key, file, path.to_path_buf());
        Ok(Self { _passing: Some(path), ..passing })
    }

    fn of(store: &ImageStore, key: Digest, file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            known: store.beside(key, KNOWN),
            tag: None,
            _passing: None,
            hasher: Hasher::default(),
            length: 0,
            limit: store.largest,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes the next bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ImageStoreError> {
        self.grow(bytes.len())?;
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes).map_err(FileError::write(&self.path))?)
    }

    fn grow(&mut self, count: usize) -> Result<(), ImageStoreError> {
        self.length += count as u64;
        if self.length > self.limit {
            return Err(ImageStoreError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// Makes an image of it.
    pub(super) fn finish(
        mut self,
        store: &ImageStore,
        expected: Option<Digest>,
    ) -> Result<Image, ImageStoreError> {
        self.file.rewind().map_err(FileError::read(&self.path))?;
        let digest = self.hasher.clone().finish();
        let image = store.adopt(&mut self.file, &self.path, digest, expected)?;
        // Where the same was there already. What stays is started over or pruned.
        let _ = remove(&self.path);
        if let Some(tag) = self.tag {
            // It only saves a later download.
            let _ = ResumeInfo { tag, image: Some(digest.to_string()) }.write(&self.known);
        }
        Ok(image)
    }

    /// Gives it up, with what is known of it.
    pub(super) fn remove(store: &ImageStore, key: Digest) {
        // What stays is not whole, and is started over or pruned.
        let _ = remove(&store.beside(key, PARTIAL));
        let _ = remove(&store.beside(key, KNOWN));
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_longer_than_ours_are_says_nothing() {
        let data = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&data.path().join("images"), 1).unwrap();
        let key = Digest::of(b"address");
        let known = ResumeInfo { tag: "\"tag\"".to_owned(), image: None };
        let mut text = serde_json::to_vec(&known).unwrap();
        for (length, expected) in [(4096, Some(known)), (4097, None)] {
            text.resize(length, b' ');
            std::fs::write(store.beside(key, KNOWN), &text).unwrap();
            assert_eq!(ResumeInfo::read(&store, key), expected, "{length}");
        }
    }
}
