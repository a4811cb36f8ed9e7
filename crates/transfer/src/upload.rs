//! From this machine to the guest.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use ssh::sftp::{Handle, Kind, Sftp, SftpError, Writing};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::guest_place::Target;
use crate::platform::{self, Dir};
use crate::problem::{Place, Problem, Why};
use crate::watch::Watch;
use crate::{DEEPEST, How, name, temporary_name};

/// What the owner of a directory needs in order to fill it.
const OWNER: u32 = 0o700;

/// A stream of bytes to copy.
#[derive(Debug)]
pub struct Source<R> {
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
/// told to `watch`, and the rest is copied.
///
/// # Errors
/// The source itself cannot be copied, or nothing more can be.
pub async fn upload<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    source: &Path,
    destination: &[u8],
    how: How,
    watch: &Watch,
) -> Result<(), Problem> {
    let fault = |error: std::io::Error| Problem::here(source, error);
    // Links in the user's own words are followed.
    let metadata = tokio::fs::metadata(source).await.map_err(fault)?;
    let found = platform::found(&metadata);
    let name = source.file_name().filter(|_| !ends_with_dots(source));
    let name = match name.map(platform::guest_bytes) {
        Some(None) => return Err(Problem::here(source, Why::Name)),
        Some(name) => name,
        None => None,
    };
    if found.kind != Kind::Directory {
        // A pipe is read to its end, as any program would that was given its name.
        let content = tokio::fs::File::open(source).await.map_err(fault)?;
        let size = (found.kind == Kind::File).then_some(metadata.len());
        let shown = source.to_owned();
        let source = Source { content, name, permissions: found.permissions, size, shown };
        return upload_from(sftp, source, destination, how, watch).await;
    }
    if !how.recursive {
        return Err(Problem::here(source, Why::Directory));
    }
    let target = Target::find(sftp, destination, name.as_deref(), Kind::Directory, how).await?;
    let dir = Dir::open(source).map_err(fault)?;
    let mut upload = Upload { sftp, watch };
    let level = match target {
        Target::Named(path) => upload.level(dir, source.to_owned(), path, found.permissions).await?,
        Target::Itself(path) | Target::Special(path) => Level::open(dir, source.to_owned(), path, None)?,
    };
    upload.tree(level).await
}

/// Copies a stream of bytes to a file.
///
/// # Errors
/// It cannot be copied.
pub async fn upload_from<S: AsyncRead + AsyncWrite, R: AsyncRead + Unpin>(
    sftp: &mut Sftp<S>,
    mut source: Source<R>,
    destination: &[u8],
    how: How,
    watch: &Watch,
) -> Result<(), Problem> {
    let target = Target::find(sftp, destination, source.name.as_deref(), Kind::File, how).await?;
    let mut upload = Upload { sftp, watch };
    match target {
        Target::Named(path) => upload.file(&mut source, &path).await,
        Target::Special(path) | Target::Itself(path) => upload.over(&mut source, &path).await,
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
    watch: &'a Watch,
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
    fn open(dir: Dir, here: PathBuf, path: Vec<u8>, permissions: Option<u32>) -> Result<Self, Problem> {
        let names = dir.names().map_err(|error| Problem::here(&here, error))?;
        Ok(Self { dir, here, names: names.into_iter(), path, permissions })
    }
}

impl<S: AsyncRead + AsyncWrite> Upload<'_, S> {
    /// Copies what is in a directory, and in those that are in it.
    async fn tree(&mut self, top: Level) -> Result<(), Problem> {
        let mut levels = vec![top];
        loop {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let Some(name) = level.names.next() else {
                if let Some(level) = levels.pop() {
                    let finished = self.finish(level).await;
                    self.watch.go_on_after(finished)?;
                }
                continue;
            };
            match self.entry(level, &name, depth).await {
                Ok(Some(below)) => levels.push(below),
                outcome => self.watch.go_on_after(outcome.map(drop))?,
            }
        }
    }

    async fn finish(&mut self, level: Level) -> Result<(), Problem> {
        let Some(permissions) = level.permissions.filter(|permissions| permissions & OWNER != OWNER) else {
            return Ok(());
        };
        let fault = |error| Problem::guest(&level.path, error);
        let has = self.sftp.metadata(&level.path).await.map_err(fault)?.permissions().unwrap_or_default();
        self.sftp.set_permissions(&level.path, has & permissions).await.map_err(fault)
    }

    /// Copies an entry of a directory that is `depth` levels deep; a directory is only entered.
    async fn entry(
        &mut self,
        level: &Level,
        name: &std::ffi::OsStr,
        depth: usize,
    ) -> Result<Option<Level>, Problem> {
        let here = level.here.join(name);
        let fault = |error: std::io::Error| Problem::here(&here, error);
        let Some(said) = platform::guest_bytes(name) else {
            return Err(Problem::here(&here, Why::Name));
        };
        let path = name::join(&level.path, &said);
        let found = level.dir.find(name).map_err(fault)?;
        match found.map(|found| (found.kind, found.permissions)) {
            // Gone meanwhile.
            None => {}
            Some((Kind::File, permissions)) => {
                let file = level.dir.read(name).map_err(fault)?;
                let size = regular(&file).map_err(|why| Problem::here(&here, why))?;
                let (size, shown) = (Some(size), here);
                let mut source =
                    Source { content: tokio::fs::File::from(file), name: None, permissions, size, shown };
                self.file(&mut source, &path).await?;
            }
            Some((Kind::Link, _)) => {
                let target = level.dir.target(name).map_err(fault)?;
                self.link(&target, &path).await?;
            }
            Some((Kind::Directory, _)) if depth >= DEEPEST => return Err(Problem::here(&here, Why::TooDeep)),
            Some((Kind::Directory, permissions)) => {
                let dir = level.dir.enter(name).map_err(fault)?;
                return self.level(dir, here, path, permissions).await.map(Some);
            }
            Some((Kind::Special, _)) => return Err(Problem::here(&here, Why::Special)),
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
    ) -> Result<Level, Problem> {
        let made = self.sftp.make_directory(&path, permissions | OWNER).await;
        let made = match made {
            Err(error) if error.is_final() => return Err(Problem::guest(&path, error)),
            // The protocol has no word for what is there already.
            Err(error) => match self.sftp.metadata(&path).await {
                Ok(there) if there.kind() == Some(Kind::Directory) => false,
                Ok(_) => return Err(Problem::guest(&path, Why::InTheWay)),
                Err(_) => return Err(Problem::guest(&path, error)),
            },
            Ok(()) => true,
        };
        Level::open(dir, here, path, made.then_some(permissions))
    }

    async fn link(&mut self, target: &[u8], path: &[u8]) -> Result<(), Problem> {
        let fault = |why| Problem::guest(path, why);
        self.replaceable(path).await.map_err(fault)?;
        let temporary = beside(path)?;
        self.sftp.make_link(&temporary, target).await.map_err(|error| fault(error.into()))?;
        self.name(&temporary, path).await
    }

    /// Copies to a file, which gets its name when it is whole.
    async fn file<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut Source<R>,
        path: &[u8],
    ) -> Result<(), Problem> {
        let fault = |why| Problem::guest(path, why);
        let there = self.replaceable(path).await.map_err(fault)?;
        let temporary = beside(path)?;
        let permissions = there.unwrap_or(source.permissions);
        let handle = match self.sftp.open_to_write(&temporary, Writing::New(permissions)).await {
            // A user may own a file in a directory of others.
            Err(SftpError::Denied) if there.is_some() => return self.over(source, path).await,
            opened => opened.map_err(|error| fault(error.into()))?,
        };
        self.watch.set_half_made(Some(temporary.clone()));
        let mut outcome = self.content(source, &handle).await.map_err(|why| source.problem(path, why));
        if let (Ok(()), Some(there)) = (&outcome, there) {
            let kept = self.sftp.set_permissions_of(&handle, there).await;
            outcome = kept.map_err(|error| fault(error.into()));
        }
        let outcome = match outcome {
            Err(problem) if problem.is_final() && !matches!(problem.why, Why::Here(_)) => Err(problem),
            outcome => {
                let closed = self.sftp.close(handle).await;
                outcome.and(closed.map_err(|error| fault(error.into())))
            }
        };
        let outcome = match outcome {
            Ok(()) => self.name(&temporary, path).await,
            Err(problem) => {
                let _ = self.sftp.remove(&temporary).await;
                Err(problem)
            }
        };
        self.watch.set_half_made(None);
        outcome
    }

    /// Copies into what is there already.
    async fn over<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut Source<R>,
        path: &[u8],
    ) -> Result<(), Problem> {
        let fault = |error: SftpError| Problem::guest(path, error);
        let handle = self.sftp.open_to_write(path, Writing::Existing).await.map_err(fault)?;
        match self.content(source, &handle).await {
            Err(Why::Guest(error)) if error.is_final() => Err(fault(error)),
            outcome => {
                let closed = self.sftp.close(handle).await.map_err(fault);
                outcome.map_err(|why| source.problem(path, why)).and(closed)
            }
        }
    }

    async fn content<R: AsyncRead + Unpin>(
        &mut self,
        source: &mut Source<R>,
        to: &Handle,
    ) -> Result<(), Why> {
        self.watch.begin(Place::Here(source.shown.clone()), source.size);
        // No more than a known length: a file that grows as fast as it is copied has no end.
        let limit = source.size.filter(|size| *size > 0).unwrap_or(u64::MAX);
        let mut content = (&mut source.content).take(limit);
        Ok(self.sftp.write_from(to, &mut content, |more| self.watch.moved(more)).await?)
    }

    /// Gives a new file or link its name.
    async fn name(&mut self, temporary: &[u8], path: &[u8]) -> Result<(), Problem> {
        let Err(error) = self.sftp.rename_over(temporary, path).await else { return Ok(()) };
        if !error.is_final() {
            let _ = self.sftp.remove(temporary).await;
        }
        Err(Problem::guest(path, error))
    }

    /// The permissions of a file that is there, if any. What is no file is not replaced, unless it is a link.
    async fn replaceable(&mut self, path: &[u8]) -> Result<Option<u32>, Why> {
        match self.sftp.link_metadata(path).await {
            Ok(there) => match there.kind() {
                Some(Kind::File) => Ok(there.permissions()),
                Some(Kind::Link) => Ok(None),
                _ => Err(Why::InTheWay),
            },
            Err(SftpError::Missing) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl<R> Source<R> {
    /// A problem is the source's or the guest's.
    fn problem(&self, path: &[u8], why: Why) -> Problem {
        match why {
            Why::Here(error) => Problem::here(&self.shown, error),
            why => Problem::guest(path, why),
        }
    }
}

/// The length of an open file, if it is one.
fn regular(file: &File) -> Result<u64, Why> {
    let metadata = file.metadata()?;
    match platform::found(&metadata).kind {
        Kind::File => Ok(metadata.len()),
        _ => Err(Why::Special),
    }
}

/// A path for what is not whole yet, in the same directory.
fn beside(path: &[u8]) -> Result<Vec<u8>, Problem> {
    let name = temporary_name().map_err(|error| Problem::guest(path, error))?;
    Ok(name::join(name::parent_of(path), name.as_bytes()))
}
