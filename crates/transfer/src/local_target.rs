//! Where something goes on this machine, and files that are not whole yet.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ssh::sftp::FileType;

use crate::error::{FailureReason, TransferError};
use crate::platform::{self, Dir};
use crate::{TransferOptions, name, temporary_name};

/// Where something goes.
pub(crate) enum LocalTarget {
    /// Into this directory, under this name.
    Named(Dir, OsString, PathBuf),
    /// What is in it goes into this directory.
    Itself(Dir, PathBuf),
    /// Into a device or a pipe, which is not replaced.
    Special(PathBuf),
}

impl LocalTarget {
    /// Finds out where a file, or a directory, goes that is called `source` in the guest, as `cp` does: into the
    /// destination if that is a directory, else under the destination's name.
    ///
    /// # Errors
    /// There is no such place.
    pub(crate) fn find(
        destination: &Path,
        source: Option<&[u8]>,
        kind: FileType,
        options: TransferOptions,
    ) -> Result<Self, TransferError> {
        let fault = |error: io::Error| TransferError::local(destination, error);
        match fs::metadata(destination).map(|metadata| platform::found(&metadata).kind) {
            Ok(FileType::Directory) => Self::within(destination, source, kind),
            Ok(_)
                if options.into_directory
                    || kind == FileType::Directory
                    || ends_with_separator(destination) =>
            {
                Err(TransferError::local(destination, FailureReason::NotADirectory))
            }
            Ok(FileType::File) => {
                Self::under_own_name(&fs::canonicalize(destination).map_err(fault)?, options)
            }
            Ok(_) => Ok(Self::Special(destination.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !options.into_directory
                    && (kind == FileType::Directory || !ends_with_separator(destination))
                {
                    return Self::under_own_name(destination, options);
                }
                make_all(destination, options)?;
                Self::within(destination, source, kind)
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn within(directory: &Path, source: Option<&[u8]>, kind: FileType) -> Result<Self, TransferError> {
        let dir = Dir::open(directory).map_err(|error| TransferError::local(directory, error))?;
        match source {
            Some(source) => match name::parse(source) {
                Some(name) => {
                    let path = directory.join(&name);
                    Ok(Self::Named(dir, name, path))
                }
                None => Err(TransferError::guest(source, FailureReason::Name)),
            },
            None if kind == FileType::Directory => Ok(Self::Itself(dir, directory.to_owned())),
            None => Err(TransferError::local(directory, FailureReason::Directory)),
        }
    }

    fn under_own_name(path: &Path, options: TransferOptions) -> Result<Self, TransferError> {
        let Some(name) = path.file_name() else {
            return Err(TransferError::local(path, FailureReason::NoDirectory));
        };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if !parent.exists() {
            make_all(parent, options)?;
        }
        let dir = Dir::open(parent).map_err(|error| TransferError::local(parent, error))?;
        Ok(Self::Named(dir, name.to_owned(), path.to_owned()))
    }
}

fn make_all(directory: &Path, options: TransferOptions) -> Result<(), TransferError> {
    if !options.parents {
        return Err(TransferError::local(directory, FailureReason::NoDirectory));
    }
    fs::create_dir_all(directory).map_err(|error| TransferError::local(directory, error))
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator((*last).into()))
}

/// A file that is not whole yet. It goes away with this.
pub(crate) struct PartialFile<'a> {
    dir: &'a Dir,
    temporary: OsString,
    name: &'a OsStr,
    finished: bool,
}

impl<'a> PartialFile<'a> {
    /// Begins a file that is to be called `name`. One that is there keeps its permissions, another one gets
    /// `permissions` less what this process' mask takes.
    pub(crate) fn begin(
        dir: &'a Dir,
        name: &'a OsStr,
        permissions: u32,
    ) -> Result<(Self, File), FailureReason> {
        let there = replaceable(dir, name)?;
        let unfinished = Self::named(dir, name)?;
        let file = dir.create(&unfinished.temporary, there.unwrap_or(permissions))?;
        if let Some(there) = there {
            Dir::set_permissions_of(&file, there)?;
        }
        Ok((unfinished, file))
    }

    /// A link that is to be called `name`.
    pub(crate) fn link(dir: &'a Dir, name: &'a OsStr, target: &[u8]) -> Result<Self, FailureReason> {
        replaceable(dir, name)?;
        let unfinished = Self::named(dir, name)?;
        dir.link(&unfinished.temporary, target)?;
        Ok(unfinished)
    }

    fn named(dir: &'a Dir, name: &'a OsStr) -> Result<Self, FailureReason> {
        Ok(Self { dir, temporary: temporary_name()?.into(), name, finished: false })
    }

    /// It is whole, and gets its name.
    pub(crate) fn finish(mut self) -> Result<(), FailureReason> {
        self.dir.rename(&self.temporary, self.name)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for PartialFile<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.dir.remove(&self.temporary);
        }
    }
}

/// The permissions of a file that is there, if any. What is no file is not replaced, unless it is a link.
fn replaceable(dir: &Dir, name: &OsStr) -> Result<Option<u32>, FailureReason> {
    match dir.find(name)? {
        Some(found) if found.kind == FileType::File => Ok(Some(found.permissions)),
        Some(found) if found.kind != FileType::Link => Err(FailureReason::InTheWay),
        _ => Ok(None),
    }
}
