//! From this machine to the guest.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use ssh::sftp::{FileType, Handle, Sftp, SftpError, WriteMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::error::{FailureReason, Location, TransferError};
use crate::guest_target::GuestTarget;
use crate::platform::{self, Dir};
use crate::progress::TransferProgress;
use crate::{DEEPEST, TransferOptions, name, temporary_name};

/// What the owner of a directory needs in order to fill it.
const OWNER: u32 = 0o700;

/// A stream of bytes to copy.
#[derive(Debug)]
pub struct UploadSource<R> {
    /// The bytes.
    pub content: R,
    /// What the file is called that is made of it, in a directory; none if it has no name.
    pub name: Option<Vec<u8>>,
    /// Permissions of the file that is made of it.
    pub permissions: u32,
    /// How many bytes there are, if that is known.
    pub size: Option<u64>,
    /// Where they come from.
    pub shown: PathBuf,
}

/// Copies a file, or a directory with all that is in it, to `destination`. What of a directory cannot be copied is
/// told to `progress`, and the rest is copied.
///
/// # Errors
/// The source itself cannot be copied, or nothing more can be.
pub async fn upload<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    source: &Path,
    destination: &[u8],
    options: TransferOptions,
    progress: &TransferProgress,
) -> Result<(), TransferError> {
    let fault = |error: std::io::Error| TransferError::local(source, error);
    // Links in the user's own words are followed.
    let metadata = tokio::fs::metadata(source).await.map_err(fault)?;
    let found = platform::found(&metadata);
    let name = source.file_name().filter(|_| !ends_with_dots(source));
    let name = match name.map(platform::guest_bytes) {
        Some(None) => return Err(TransferError::local(source, FailureReason::Name)),
        Some(name) => name,
        None => None,
    };
    if found.kind != FileType::Directory {
        // A pipe is read to its end, as any program would that was given its name.
        let content = tokio::fs::File::open(source).await.map_err(fault)?;
        let size = (found.kind == FileType::File).then_some(metadata.len());
        let shown = source.to_owned();
        let source = UploadSource { content, name, permissions: found.permissions, size, shown };
        return upload_from(sftp, source, destination, options, progress).await;
    }
    if !options.recursive {
        return Err(TransferError::local(source, FailureReason::Directory));
    }
    let target = GuestTarget::find(sftp, destination, name.as_deref(), FileType::Directory, options).await?;
    let dir = Dir::open(source).map_err(fault)?;
    let mut upload = Upload { sftp, progress };
    let level = match target {
        GuestTarget::Named(path) => upload.level(dir, source.to_owned(), path, found.permissions).await?,
        GuestTarget::Itself(path) | GuestTarget::Special(path) => {
            Level::open(dir, source.to_owned(), path, None)?
        }
    };
    upload.tree(level).await
}

/// Copies a stream of bytes to a file.
///
/// # Errors
/// It cannot be copied.
pub async fn upload_from<S: AsyncRead + AsyncWrite, R: AsyncRead + Unpin>(
    sftp: &mut Sftp<S>,
    mut source: UploadSource<R>,
    destination: &[u8],
    options: TransferOptions,
    progress: &TransferProgress,
) -> Result<(), TransferError> {
    let target =
        GuestTarget::find(sftp, destination, source.name.as_deref(), FileType::File, options).await?;
    let mut upload = Upload { sftp, progress };
    match target {
        GuestTarget::Named(path) => upload.file(&mut source, &path).await,
        GuestTarget::Special(path) | GuestTarget::Itself(path) => upload.over(&mut source, &path).await,
    }
}

/// Whether a path ends in `.` or `..`, which `file_name` passes over, and so names no file.
fn ends_with_dots(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    let last = text.rsplit(|byte| std::path::is_separator((*byte).into())).find(|part| !part.is_empty());
    matches!(last, Some(b"." | b".."))
}

struct Upload<'a, S> {
    sftp: &'a mut Sftp<S>,
    progress: &'a TransferProgress,
}

/// A directory that is being copied.
struct Level {
    dir: Dir,
    here: PathBuf,
    names: IntoIter<OsString>,
    /// The one in the guest.
    path: Vec<u8>,
    /// What it may keep of its permissions when it is full.
    permissions: Option<u32>,
}

impl Level {
    fn open(dir: Dir, here: PathBuf, path: Vec<u8>, permissions: Option<u32>) -> Result<Self, TransferError> {
        let names = dir.names().map_err(|error| TransferError::local(&here, error))?;
        Ok(Self { dir, here, names: names.into_iter(), path, permissions })
    }
}

impl<S: AsyncRead + AsyncWrite> Upload<'_, S> {
    /// Copies what is in a directory, and in those that are in it.
    async fn tree(&mut self, top: Level) -> Result<(), TransferError> {
        let mut levels = vec![top];
        loop {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let Some(name) = level.names.next() else {
                if let Some(level) = levels.pop() {
                    let finished = self.finish(level).await;
                    self.progress.skip_failed(finished)?;
                }
                continue;
            };
            match self.entry(level, &name, depth).await {
                Ok(Some(below)) => levels.push(below),
                outcome => self.progress.skip_failed(outcome.map(drop))?,
            }
        }
    }

    async fn finish(&mut self, level: Level) -> Result<(), TransferError> {
        let Some(permissions) = level.permissions.filter(|permissions| permissions & OWNER != OWNER) else {
            return Ok(());
        };
        let fault = |error| TransferError::guest(&level.path, error);
        let has = self.sftp.metadata(&level.path).await.map_err(fault)?.permissions().unwrap_or_default();
        self.sftp.set_permissions(&level.path, has & permissions).await.map_err(fault)
    }

    /// Copies an entry of a directory that is `depth` levels deep; a directory is only entered.
    async fn entry(
        &mut self,
        level: &Level,
        name: &std::ffi::OsStr,
        depth: usize,
    ) -> Result<Option<Level>, TransferError> {
        let here = level.here.join(name);
        let fault = |error: std::io::Error| TransferError::local(&here, error);
        let Some(said) = platform::guest_bytes(name) else {
            return Err(TransferError::local(&here, FailureReason::Name));
        };
        let path = name::join(&level.path, &said);
        let found = level.dir.find(name).map_err(fault)?;
        match found.map(|found| (found.kind, found.permissions)) {
            // Gone meanwhile.
            None => {}
            Some((FileType::File, permissions)) => {
                let file = level.dir.read(name).map_err(fault)?;
                let size = regular(&file).map_err(|reason| TransferError::local(&here, reason))?;
                let (size, shown) = (Some(size), here);
                let mut source = UploadSource {
                    content: tokio::fs::File::from(file),
                    name: None,
                    permissions,
                    size,
                    shown,
                };
                self.file(&mut source, &path).await?;
            }
            Some((FileType::Link, _)) => {
                let target = level.dir.target(name).map_err(fault)?;
                self.link(&target, &path).await?;
            }
            Some((FileType::Directory, _)) if depth >= DEEPEST => {
                return Err(TransferError::local(&here, FailureReason::TooDeep));
            }
            Some((FileType::Directory, permissions)) => {
                let dir = level.dir.enter(name).map_err(fault)?;
                return self.level(dir, here, path, permissions).await.map(Some);
            }
            Some((FileType::Special, _)) => return Err(TransferError::local(&here, FailureReason::Special)),
        }
        Ok(None)
    }

    /// Makes a directory in the guest, or finds it.
    async fn level(
        &mut self,
        dir: Dir,
        here: PathBuf,
        path: Vec<u8>,
        permissions: u32,
    ) -> Result<Level, TransferError> {
        let made = self.sftp.make_directory(&path, permissions | OWNER).await;
        let made = match made {
            Err(error) if error.is_final() => return Err(TransferError::guest(&path, error)),
            // The protocol has no word for what is there already.
            Err(error) => match self.sftp.metadata(&path).await {
                Ok(there) if there.kind() == Some(FileType::Directory) => false,
                Ok(_) => return Err(TransferError::guest(&path, FailureReason::InTheWay)),
                Err(_) => return Err(TransferError::guest(&path, error)),
            },
            Ok(()) => true,
        };
        Level::open(dir, here, path, made.then_some(permissions))
    }

    async fn link(&mut self, target: &[u8], path: &[u8]) -> Result<(), TransferError> {
        let fault = |reason| TransferError::guest(path, reason);
        self.replaceable(path).await.map_err(fault)?;
        let temporary = beside(path)?;
        self.sftp.make_link(&temporary, target).await.map_err(|error| fault(error.into()))?;
        self.name(&temporary, path).await
    }

    /// Copies to a file, which gets its name when it is whole.
    async fn file<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut UploadSource<R>,
        path: &[u8],
    ) -> Result<(), TransferError> {
        let fault = |reason| TransferError::guest(path, reason);
        let there = self.replaceable(path).await.map_err(fault)?;
        let temporary = beside(path)?;
        let permissions = there.unwrap_or(source.permissions);
        let handle = match self.sftp.open_to_write(&temporary, WriteMode::New(permissions)).await {
            // A user may own a file in a directory of others.
            Err(SftpError::Denied) if there.is_some() => return self.over(source, path).await,
            opened => opened.map_err(|error| fault(error.into()))?,
        };
        self.progress.set_partial(Some(temporary.clone()));
        let mut outcome = self.content(source, &handle).await.map_err(|reason| source.error(path, reason));
        if let (Ok(()), Some(there)) = (&outcome, there) {
            let kept = self.sftp.set_permissions_of(&handle, there).await;
            outcome = kept.map_err(|error| fault(error.into()));
        }
        let outcome = match outcome {
            Err(error) if error.is_final() && !matches!(error.reason, FailureReason::Local(_)) => Err(error),
            outcome => {
                let closed = self.sftp.close(handle).await;
                outcome.and(closed.map_err(|error| fault(error.into())))
            }
        };
        let outcome = match outcome {
            Ok(()) => self.name(&temporary, path).await,
            Err(error) => {
                let _ = self.sftp.remove(&temporary).await;
                Err(error)
            }
        };
        self.progress.set_partial(None);
        outcome
    }

    /// Copies into what is there already.
    async fn over<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut UploadSource<R>,
        path: &[u8],
    ) -> Result<(), TransferError> {
        let fault = |error: SftpError| TransferError::guest(path, error);
        let handle = self.sftp.open_to_write(path, WriteMode::Existing).await.map_err(fault)?;
        match self.content(source, &handle).await {
            Err(FailureReason::Guest(error)) if error.is_final() => Err(fault(error)),
            outcome => {
                let closed = self.sftp.close(handle).await.map_err(fault);
                outcome.map_err(|reason| source.error(path, reason)).and(closed)
            }
        }
    }

    async fn content<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut UploadSource<R>,
        to: &Handle,
    ) -> Result<(), FailureReason> {
        self.progress.begin(Location::Local(source.shown.clone()), source.size);
        // No more than a known length: a file that grows as fast as it is copied has no end.
        let limit = source.size.filter(|size| *size > 0).unwrap_or(u64::MAX);
        let mut content = (&mut source.content).take(limit);
        Ok(self.sftp.write_from(to, &mut content, |more| self.progress.moved(more)).await?)
    }

    /// Gives a new file or link its name.
    async fn name(&mut self, temporary: &[u8], path: &[u8]) -> Result<(), TransferError> {
        let Err(error) = self.sftp.rename_over(temporary, path).await else { return Ok(()) };
        if !error.is_final() {
            let _ = self.sftp.remove(temporary).await;
        }
        Err(TransferError::guest(path, error))
    }

    /// The permissions of a file that is there, if any. What is no file is not replaced, unless it is a link.
    async fn replaceable(&mut self, path: &[u8]) -> Result<Option<u32>, FailureReason> {
        match self.sftp.link_metadata(path).await {
            Ok(there) => match there.kind() {
                Some(FileType::File) => Ok(there.permissions()),
                Some(FileType::Link) => Ok(None),
                _ => Err(FailureReason::InTheWay),
            },
            Err(SftpError::Missing) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl<R> UploadSource<R> {
    /// A problem is the source's or the guest's.
    fn error(&self, path: &[u8], reason: FailureReason) -> TransferError {
        match reason {
            FailureReason::Local(error) => TransferError::local(&self.shown, error),
            reason => TransferError::guest(path, reason),
        }
    }
}

/// The length of an open file, if it is one.
fn regular(file: &File) -> Result<u64, FailureReason> {
    let metadata = file.metadata()?;
    match platform::found(&metadata).kind {
        FileType::File => Ok(metadata.len()),
        _ => Err(FailureReason::Special),
    }
}

/// A path for what is not whole yet, in the same directory.
fn beside(path: &[u8]) -> Result<Vec<u8>, TransferError> {
    let name = temporary_name().map_err(|error| TransferError::guest(path, error))?;
    Ok(name::join(name::parent_of(path), name.as_bytes()))
}
