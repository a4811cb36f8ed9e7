//! From the guest to this machine.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use bytes::Bytes;
use ssh::sftp::{Attributes, DirectoryEntry, FileType, Handle, Sftp, SftpError};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::error::{FailureReason, Location, TransferError};
use crate::local_target::{LocalTarget, PartialFile};
use crate::platform::Dir;
use crate::progress::TransferProgress;
use crate::{DEEPEST, MOST_ENTRIES, TransferOptions, link, name};

/// Permissions of a file that the guest says nothing of.
const USUAL_FILE: u32 = 0o666;
const USUAL_DIRECTORY: u32 = 0o777;
/// What the owner of a directory needs in order to fill it.
const OWNER: u32 = 0o700;

/// Copies a file, or a directory with all that is in it, to `destination`. What of a directory cannot be copied is
/// told to `progress`, and the rest is copied.
///
/// # Errors
/// The source itself cannot be copied, or nothing more can be.
pub async fn download<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    source: &[u8],
    destination: &Path,
    options: TransferOptions,
    progress: &TransferProgress,
) -> Result<(), TransferError> {
    let source = or_home(source);
    // Links in the user's own words are followed, by the guest and for itself.
    let attributes = sftp.metadata(source).await.map_err(|error| TransferError::guest(source, error))?;
    let kind = attributes.kind().unwrap_or(FileType::File);
    if kind == FileType::Directory && !options.recursive {
        return Err(TransferError::guest(source, FailureReason::Directory));
    }
    let target = LocalTarget::find(destination, name::last_of(source), kind, options)?;
    let mut download = Download { sftp, progress, entries: 0 };
    match (target, kind) {
        (LocalTarget::Named(dir, name, here), FileType::Directory) => {
            let level = download.level(source.to_owned(), &dir, &name, here, attributes).await?;
            download.tree(level).await
        }
        (LocalTarget::Itself(dir, here), _) => {
            let level = Level::open(download.sftp, source.to_owned(), dir, here, None).await?;
            download.tree(level).await
        }
        (LocalTarget::Named(dir, name, here), _) => {
            download.file(source, attributes, &dir, &name, &here).await
        }
        (LocalTarget::Special(here), _) => {
            let device = OpenOptions::new().write(true).open(&here).await;
            let device = device.map_err(|error| TransferError::local(&here, error))?;
            download.content(source, attributes, device, &here).await
        }
    }
}

/// Gives a file's content to `sink`.
///
/// # Errors
/// It cannot be copied.
pub async fn download_to<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    source: &[u8],
    mut sink: impl AsyncFnMut(Bytes) -> io::Result<()>,
    progress: &TransferProgress,
) -> Result<(), TransferError> {
    let source = or_home(source);
    let fault = |error: SftpError| TransferError::guest(source, error);
    let attributes = sftp.metadata(source).await.map_err(fault)?;
    if attributes.kind() == Some(FileType::Directory) {
        return Err(TransferError::guest(source, FailureReason::Directory));
    }
    progress.begin(Location::Guest(source.to_owned()), attributes.size);
    let file = sftp.open_to_read(source).await.map_err(fault)?;
    let taken = async |data: Bytes| {
        let length = data.len();
        sink(data).await?;
        progress.moved(length);
        Ok(())
    };
    let outcome = sftp.read_to(&file, taken).await;
    close(sftp, file, outcome).await.map_err(fault)
}

/// A guest's user is at home where nothing is said.
fn or_home(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

/// Gives a handle back, unless there is nobody any more to give it to. The first error is the one to tell.
async fn close<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    handle: Handle,
    outcome: Result<(), SftpError>,
) -> Result<(), SftpError> {
    match outcome {
        Err(error) if error.is_final() => Err(error),
        outcome => outcome.and(sftp.close(handle).await),
    }
}

struct Download<'a, S> {
    sftp: &'a mut Sftp<S>,
    progress: &'a TransferProgress,
    /// How many entries of directories there have been.
    entries: u64,
}

/// A directory that is being copied.
struct Level {
    /// The directory in the guest.
    handle: Handle,
    path: Vec<u8>,
    listed: IntoIter<DirectoryEntry>,
    /// The one here.
    dir: Dir,
    here: PathBuf,
    /// What it may keep of its permissions when it is full.
    permissions: Option<u32>,
}

impl Level {
    async fn open<S: AsyncRead + AsyncWrite>(
        sftp: &mut Sftp<S>,
        path: Vec<u8>,
        dir: Dir,
        here: PathBuf,
        permissions: Option<u32>,
    ) -> Result<Self, TransferError> {
        let opened = sftp.open_directory(&path).await;
        let handle = opened.map_err(|error| TransferError::guest(&path, error))?;
        Ok(Self { handle, path, listed: Vec::new().into_iter(), dir, here, permissions })
    }
}

impl<S: AsyncRead + AsyncWrite> Download<'_, S> {
    /// Copies what is in a directory, and in those that are in it.
    async fn tree(&mut self, top: Level) -> Result<(), TransferError> {
        let mut levels = vec![top];
        loop {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let entry = match self.next(level).await {
                Ok(Some(entry)) => entry,
                ended => {
                    self.progress.skip_failed(ended.map(drop))?;
                    if let Some(level) = levels.pop() {
                        let finished = self.finish(level).await;
                        self.progress.skip_failed(finished)?;
                    }
                    continue;
                }
            };
            match self.entry(level, entry, depth).await {
                Ok(Some(below)) => levels.push(below),
                outcome => self.progress.skip_failed(outcome.map(drop))?,
            }
        }
    }

    /// The next entry of a directory.
    async fn next(&mut self, level: &mut Level) -> Result<Option<DirectoryEntry>, TransferError> {
        loop {
            if let Some(entry) = level.listed.next() {
                self.entries += 1;
                if self.entries > MOST_ENTRIES {
                    return Err(TransferError::guest(&level.path, FailureReason::TooMuch));
                }
                if !matches!(&entry.name[..], b"." | b"..") {
                    return Ok(Some(entry));
                }
                continue;
            }
            match self.sftp.list(&level.handle).await {
                Ok(Some(listed)) => level.listed = listed.into_iter(),
                Ok(None) => return Ok(None),
                Err(error) => return Err(TransferError::guest(&level.path, error)),
            }
        }
    }

    async fn finish(&mut self, level: Level) -> Result<(), TransferError> {
        if let Some(permissions) = level.permissions {
            let kept = level.dir.keep_permissions(permissions);
            self.progress.skip_failed(kept.map_err(|error| TransferError::local(&level.here, error)))?;
        }
        let closed = self.sftp.close(level.handle).await;
        closed.map_err(|error| TransferError::guest(&level.path, error))
    }

    /// Copies an entry of a directory that is `depth` levels deep; a directory is only entered.
    async fn entry(
        &mut self,
        level: &Level,
        DirectoryEntry { name: said, attributes }: DirectoryEntry,
        depth: usize,
    ) -> Result<Option<Level>, TransferError> {
        let path = name::join(&level.path, &said);
        let Some(name) = name::parse(&said) else {
            return Err(TransferError::guest(&path, FailureReason::Name));
        };
        let fault = |error: SftpError| TransferError::guest(&path, error);
        let attributes = match attributes.kind() {
            Some(_) => attributes,
            None => self.sftp.link_metadata(&path).await.map_err(fault)?,
        };
        let here = level.here.join(&name);
        match attributes.kind() {
            Some(FileType::File) => self.file(&path, attributes, &level.dir, &name, &here).await?,
            Some(FileType::Link) => {
                let target = self.sftp.read_link(&path).await.map_err(fault)?;
                if !link::stays_within(&target, depth - 1) {
                    return Err(TransferError::guest(&path, FailureReason::LinkOut));
                }
                let made = PartialFile::link(&level.dir, &name, &target).and_then(PartialFile::finish);
                made.map_err(|reason| TransferError::local(&here, reason))?;
            }
            Some(FileType::Directory) if depth >= DEEPEST => {
                return Err(TransferError::guest(&path, FailureReason::TooDeep));
            }
            Some(FileType::Directory) => {
                return self.level(path, &level.dir, &name, here, attributes).await.map(Some);
            }
            Some(FileType::Special) | None => {
                return Err(TransferError::guest(&path, FailureReason::Special));
            }
        }
        Ok(None)
    }

    /// Makes a directory here, or finds it, and opens the guest's.
    async fn level(
        &mut self,
        path: Vec<u8>,
        dir: &Dir,
        name: &OsStr,
        here: PathBuf,
        attributes: Attributes,
    ) -> Result<Level, TransferError> {
        let permissions = attributes.permissions().unwrap_or(USUAL_DIRECTORY);
        let made = dir.make(name, permissions | OWNER);
        let fault = |error: io::Error| TransferError::local(&here, error);
        let made = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            made => made.map(|()| true).map_err(fault)?,
        };
        // Nobody but the user should be able to have put a link there meanwhile, but a guest could have done so
        // before, by an entry of the same name.
        let entered = match dir.enter(name) {
            Err(_) if !made => return Err(TransferError::local(&here, FailureReason::InTheWay)),
            entered => entered.map_err(fault)?,
        };
        Level::open(self.sftp, path, entered, here, made.then_some(permissions)).await
    }

    async fn file(
        &mut self,
        path: &[u8],
        attributes: Attributes,
        dir: &Dir,
        name: &OsStr,
        here: &Path,
    ) -> Result<(), TransferError> {
        let fault = |reason| TransferError::local(here, reason);
        let permissions = attributes.permissions().unwrap_or(USUAL_FILE);
        let (unfinished, file) = PartialFile::begin(dir, name, permissions).map_err(fault)?;
        self.content(path, attributes, file.into(), here).await?;
        unfinished.finish().map_err(fault)
    }

    /// Writes a file's content.
    async fn content(
        &mut self,
        path: &[u8],
        attributes: Attributes,
        mut to: File,
        here: &Path,
    ) -> Result<(), TransferError> {
        self.progress.begin(Location::Guest(path.to_owned()), attributes.size);
        let opened = self.sftp.open_to_read(path).await;
        let handle = opened.map_err(|error| TransferError::guest(path, error))?;
        let write = async |data: Bytes| {
            to.write_all(&data).await?;
            self.progress.moved(data.len());
            Ok(())
        };
        let outcome = self.sftp.read_to(&handle, write).await;
        let outcome = close(self.sftp, handle, outcome).await;
        let flushed = to.flush().await;
        match outcome {
            Ok(()) => flushed.map_err(|error| TransferError::local(here, error)),
            Err(SftpError::Sink(error)) => Err(TransferError::local(here, error)),
            Err(error) => Err(TransferError::guest(path, error)),
        }
    }
}
