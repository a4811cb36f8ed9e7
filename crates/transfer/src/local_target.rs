//! Where something goes on this machine, and files that are not whole yet.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ssh::sftp::Kind;

use crate::platform::{self, Dir};
use crate::problem::{Problem, Why};
use crate::{How, name, temporary_name};

/// Where something goes.
pub(crate) enum Target {
    /// Into this directory, under this name.
    Named(Dir, OsString, PathBuf),
    /// What is in it goes into this directory.
    Itself(Dir, PathBuf),
    /// Into a device or a pipe, which is not replaced.
    Special(PathBuf),
}

impl Target {
    /// Finds out where a file, or a directory, goes that is called `source` in the guest, as `cp` does: into the
    /// destination if that is a directory, else under the destination's name.
    ///
    /// # Errors
    /// There is no such place.
    pub(crate) fn find(
        destination: &Path,
        source: Option<&[u8]>,
        kind: Kind,
        how: How,
    ) -> Result<Self, Problem> {
        let fault = |error: io::Error| Problem::here(destination, error);
        match fs::metadata(destination).map(|metadata| platform::found(&metadata).kind) {
            Ok(Kind::Directory) => Self::within(destination, source, kind),
            Ok(_) if how.into_directory || kind == Kind::Directory || ends_with_separator(destination) => {
                Err(Problem::here(destination, Why::NotADirectory))
            }
            Ok(Kind::File) => Self::under_own_name(&fs::canonicalize(destination).map_err(fault)?, how),
            Ok(_) => Ok(Self::Special(destination.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !how.into_directory && (kind == Kind::Directory || !ends_with_separator(destination)) {
                    return Self::under_own_name(destination, how);
                }
                make_all(destination, how)?;
                Self::within(destination, source, kind)
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn within(directory: &Path, source: Option<&[u8]>, kind: Kind) -> Result<Self, Problem> {
        let dir = Dir::open(directory).map_err(|error| Problem::here(directory, error))?;
        match source {
            Some(source) => match name::parse(source) {
                Some(name) => {
                    let path = directory.join(&name);
                    Ok(Self::Named(dir, name, path))
                }
                None => Err(Problem::guest(source, Why::Name)),
            },
            None if kind == Kind::Directory => Ok(Self::Itself(dir, directory.to_owned())),
            None => Err(Problem::here(directory, Why::Directory)),
        }
    }

    fn under_own_name(path: &Path, how: How) -> Result<Self, Problem> {
        let Some(name) = path.file_name() else {
            return Err(Problem::here(path, Why::NoDirectory));
        };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if !parent.exists() {
            make_all(parent, how)?;
        }
        let dir = Dir::open(parent).map_err(|error| Problem::here(parent, error))?;
        Ok(Self::Named(dir, name.to_owned(), path.to_owned()))
    }
}

fn make_all(directory: &Path, how: How) -> Result<(), Problem> {
    if !how.parents {
        return Err(Problem::here(directory, Why::NoDirectory));
    }
    fs::create_dir_all(directory).map_err(|error| Problem::here(directory, error))
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator((*last).into()))
}

/// A file that is not whole yet. It goes away with this.
pub(crate) struct Unfinished<'a> {
    dir: &'a Dir,
    temporary: OsString,
    name: &'a OsStr,
    finished: bool,
}

impl<'a> Unfinished<'a> {
    /// Begins a file that is to be called `name`. One that is there keeps its permissions, another one gets
    /// `permissions` less what this process' mask takes.
    pub(crate) fn begin(dir: &'a Dir, name: &'a OsStr, permissions: u32) -> Result<(Self, File), Why> {
        let there = replaceable(dir, name)?;
        let unfinished = Self::named(dir, name)?;
        let file = dir.create(&unfinished.temporary, there.unwrap_or(permissions))?;
        if let Some(there) = there {
            Dir::set_permissions_of(&file, there)?;
        }
        Ok((unfinished, file))
    }

    /// A link that is to be called `name`.
    pub(crate) fn link(dir: &'a Dir, name: &'a OsStr, target: &[u8]) -> Result<Self, Why> {
        replaceable(dir, name)?;
        let unfinished = Self::named(dir, name)?;
        dir.link(&unfinished.temporary, target)?;
        Ok(unfinished)
    }

    fn named(dir: &'a Dir, name: &'a OsStr) -> Result<Self, Why> {
        Ok(Self { dir, temporary: temporary_name()?.into(), name, finished: false })
    }

    /// It is whole, and gets its name.
    pub(crate) fn finish(mut self) -> Result<(), Why> {
        self.dir.rename(&self.temporary, self.name)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.dir.remove(&self.temporary);
        }
    }
}

/// The permissions of a file that is there, if any. What is no file is not replaced, unless it is a link.
fn replaceable(dir: &Dir, name: &OsStr) -> Result<Option<u32>, Why> {
    match dir.find(name)? {
        Some(found) if found.kind == Kind::File => Ok(Some(found.permissions)),
        Some(found) if found.kind != Kind::Link => Err(Why::InTheWay),
        _ => Ok(None),
    }
}
