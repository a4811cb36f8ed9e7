//! The images that instances' disks are based on, each known by the SHA-256 of its bytes: whoever uses the same
//! image shares its file.
//!
//! Who uses which is written down with the instances, and nowhere else. Here it is only known which are needed
//! by those that are being made. Files are never written to once they have their name.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use durable::{FileError, private};
use tempfile::NamedTempFile;
use thiserror::Error;

use super::Digest;
use super::digest::Hasher;
use super::format::{self, NotAnImage};
use crate::ImageFormat;

/// How files are called that are not yet whole.
const NEW: &str = ".new-";
/// How it ends what is called after an address instead of a digest: a part of a download, and what is known of it.
pub(super) const PARTIAL: &str = ".partial";
pub(super) const KNOWN: &str = ".known.json";

/// A directory of images. One process has it open at a time.
#[derive(Debug)]
pub struct ImageStore {
    root: PathBuf,
    /// The most bytes that an image may have.
    pub(super) largest: u64,
    /// Kept locked as long as it is open.
    _lock: File,
    leases: Arc<Leases>,
    /// One download of an address at a time.
    pub(super) turns: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

/// An image in the store. It stays there at least as long as this is kept.
#[derive(Debug)]
pub struct Image {
    /// By which it is known.
    pub digest: Digest,
    /// What it is.
    pub format: ImageFormat,
    /// The disk in it, in bytes.
    pub disk: u64,
    /// Its file.
    pub path: PathBuf,
    _lease: Lease,
}

/// Why an image cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageStoreError {
    /// A file or directory could not be used, or another process has it open.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file that was given could not be read.
    #[error("cannot read the image")]
    Source(#[source] io::Error),
    /// What was given is a directory, a device or the like.
    #[error("the image is not a regular file; give the path of one")]
    NotAFile,
    /// It is larger than an image may be.
    #[error("the image has more than {limit} bytes")]
    TooLarge {
        /// So many are allowed.
        limit: u64,
    },
    /// It is not the file that was meant.
    #[error(
        "the image's SHA-256 checksum is {found}, and {expected} was expected; download the image again, or correct the checksum"
    )]
    WrongChecksum {
        /// What was given.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// It is no image.
    #[error("that is not a disk image: {0}")]
    NotAnImage(NotAnImage),
    /// There is no image with that digest.
    #[error("the image {0} is not in the store any more")]
    Missing(Digest),
    /// It could not be downloaded.
    #[error("cannot download the image")]
    Fetch(#[from] fetch::FetchError),
    /// Nobody wants it any more.
    #[error("it was given up")]
    Cancelled,
}

impl ImageStore {
    /// Opens the store in a directory of its own, which is made if it is missing; the one above it must be
    /// there. Images may have as many bytes as `largest`. *Blocking*.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another process has it open.
    pub fn open(root: &Path, largest: u64) -> Result<Self, ImageStoreError> {
        let lock = durable::hold(root)?;
        durable::clear_leftovers(root).map_err(FileError::write(root))?;
        let root = root.to_owned();
        Ok(Self { root, largest, _lock: lock, leases: Arc::default(), turns: Mutex::default() })
    }

    /// Where an image is, or would be.
    #[must_use]
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    /// An image that is there. *Blocking*.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn find(&self, digest: Digest) -> Result<Image, ImageStoreError> {
        // First, so that it is not pruned meanwhile.
        let lease = self.leases.take(digest);
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImageStoreError::Missing(digest));
            }
            Err(error) => return Err(FileError::read(&path)(error).into()),
        };
        let found = file.metadata().and_then(|metadata| format::look(&mut file, metadata.len()));
        let found = found.map_err(FileError::read(&path))?.map_err(ImageStoreError::NotAnImage)?;
        // When it was last used. It may be too much to ask of a disk that is full.
        let _ = file.set_modified(SystemTime::now());
        Ok(Image { digest, format: found.format, disk: found.disk, path, _lease: lease })
    }

    /// The images that are there, in no order. *Blocking*.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<Digest>, ImageStoreError> {
        let names = self.names()?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Takes a copy of the file that is open here; with which rights it was opened is its caller's business.
    /// Told of each piece is `progress`, with the bytes that were copied and those that there are. *Blocking*.
    ///
    /// # Errors
    /// It is no regular file, no image, too large, or another one than `expected`; or `progress` breaks it off.
    /// Nothing is left of it then.
    pub fn import(
        &self,
        mut source: File,
        expected: Option<Digest>,
        progress: &dyn Fn(u64, u64) -> ControlFlow<()>,
    ) -> Result<Image, ImageStoreError> {
        let metadata = source.metadata().map_err(ImageStoreError::Source)?;
        if !metadata.is_file() {
            return Err(ImageStoreError::NotAFile);
        }
        // What is no image need not be copied first.
        format::look(&mut source, metadata.len())
            .map_err(ImageStoreError::Source)?
            .map_err(ImageStoreError::NotAnImage)?;
        source.seek(SeekFrom::Start(0)).map_err(ImageStoreError::Source)?;
        // Removed when it is dropped, if it has not become an image.
        let (mut file, path) = self.new_file()?.into_parts();
        let digest = self.copy(&mut source, &mut file, &path, &|done| progress(done, metadata.len()))?;
        self.adopt(&mut file, &path, digest, expected)
    }

    /// A file under a name of its own, which goes when it is dropped.
    pub(super) fn new_file(&self) -> Result<NamedTempFile<File>, ImageStoreError> {
        let new = tempfile::Builder::new().prefix(NEW).make_in(&self.root, private::new_file);
        Ok(new.map_err(FileError::write(&self.root))?)
    }

    fn copy(
        &self,
        source: &mut File,
        file: &mut File,
        path: &Path,
        progress: &dyn Fn(u64) -> ControlFlow<()>,
    ) -> Result<Digest, ImageStoreError> {
        let mut buffer = vec![0; 256 * 1024];
        let (mut hasher, mut done) = (Hasher::default(), 0_u64);
        loop {
            let count = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ImageStoreError::Source(error)),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            done += count as u64;
            if done > self.largest {
                return Err(ImageStoreError::TooLarge { limit: self.largest });
            }
            hasher.update(bytes);
            // What is empty takes no room, as in the disks that raw images mostly are.
            let written = match bytes.iter().all(|byte| *byte == 0) {
                true => file.seek(SeekFrom::Start(done)).map(drop),
                false => file.write_all(bytes),
            };
            written.map_err(FileError::write(path))?;
            if progress(done).is_break() {
                return Err(ImageStoreError::Cancelled);
            }
        }
        file.set_len(done).map_err(FileError::write(path))?;
        Ok(hasher.finish())
    }

    /// Gives a file of the store, which is whole and closed to others, the name of its digest. If that fails, or
    /// the same is there already, it keeps its own, and its caller removes it.
    pub(super) fn adopt(
        &self,
        file: &mut File,
        path: &Path,
        digest: Digest,
        expected: Option<Digest>,
    ) -> Result<Image, ImageStoreError> {
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(ImageStoreError::WrongChecksum { expected, found: digest });
        }
        let length = file.metadata().map_err(FileError::read(path))?.len();
        let found = format::look(file, length)
            .map_err(FileError::read(path))?
            .map_err(ImageStoreError::NotAnImage)?;
        // First, so that it is not pruned meanwhile.
        let lease = self.leases.take(digest);
        let place = self.path(digest);
        if place.metadata().is_ok_and(|there| there.len() == length)
            && let Ok(image) = self.find(digest)
        {
            return Ok(image);
        }
        let adopted =
            read_only(file).and_then(|()| file.sync_all()).and_then(|()| durable::rename(path, &place));
        adopted.map_err(FileError::write(&place))?;
        Ok(Image { digest, format: found.format, disk: found.disk, path: place, _lease: lease })
    }

    /// Removes images that nobody uses and nobody has used since, and parts of downloads that nobody went on
    /// with. Tells which images those were. *Blocking*.
    ///
    /// # Errors
    /// The directory cannot be read, or a file of it not be removed.
    pub fn prune(
        &self,
        is_used: &dyn Fn(Digest) -> bool,
        unused_since: SystemTime,
    ) -> Result<Vec<Digest>, ImageStoreError> {
        let mut pruned = Vec::new();
        for name in self.names()? {
            let path = self.root.join(&name);
            let modified = path.symlink_metadata().and_then(|metadata| metadata.modified());
            if modified.map_err(FileError::read(&path))? > unused_since {
                continue;
            }
            let of_download = [PARTIAL, KNOWN].iter().find_map(|end| name.strip_suffix(end)?.parse().ok());
            if let Some(key) = of_download {
                let turns = self.turns();
                if turns.get(&key).is_none_or(|turn| turn.strong_count() == 0) {
                    std::fs::remove_file(&path).map_err(FileError::write(&path))?;
                }
            }
            if let Ok(digest) = name.parse() {
                let leased = self.leases.locked();
                // In this order: it is written down with the instance before the lease ends.
                if !leased.contains_key(&digest) && !is_used(digest) {
                    std::fs::remove_file(&path).map_err(FileError::write(&path))?;
                    pruned.push(digest);
                }
            }
        }
        Ok(pruned)
    }

    pub(super) fn turns(&self) -> MutexGuard<'_, HashMap<Digest, Weak<tokio::sync::Mutex<()>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where something is that belongs to the download of an address.
    pub(super) fn beside(&self, key: Digest, end: &str) -> PathBuf {
        self.root.join(format!("{key}{end}"))
    }

    fn names(&self) -> Result<Vec<String>, ImageStoreError> {
        let entries = std::fs::read_dir(&self.root).map_err(FileError::read(&self.root))?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(FileError::read(&self.root))?.file_name();
            names.extend(name.into_string());
        }
        Ok(names)
    }
}

/// Which images are needed by whatever is being made, and by how many.
#[derive(Debug, Default)]
struct Leases(Mutex<HashMap<Digest, usize>>);

#[derive(Debug)]
struct Lease {
    leases: Arc<Leases>,
    digest: Digest,
}

impl Leases {
    fn take(self: &Arc<Self>, digest: Digest) -> Lease {
        *self.locked().entry(digest).or_default() += 1;
        Lease { leases: Arc::clone(self), digest }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leased = self.leases.locked();
        if let Some(count) = leased.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                leased.remove(&self.digest);
            }
        }
    }
}

/// Opens a file of the store for reading and writing, made for us alone if it is missing.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private::own_file(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn read_only(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(std::fs::Permissions::from_mode(0o400))
}

/// Windows cannot remove a file that is marked so.
#[cfg(not(unix))]
fn read_only(_file: &File) -> io::Result<()> {
    Ok(())
}
