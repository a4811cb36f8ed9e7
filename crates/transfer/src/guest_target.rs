//! Where something goes in the guest.

use ssh::sftp::{Attributes, FileType, Sftp, SftpError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{FailureReason, TransferError};
use crate::{TransferOptions, name};

/// Permissions of a directory on the way, less what the guest's mask takes.
const USUAL: u32 = 0o777;

/// Where something goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GuestTarget {
    /// It gets this path.
    Named(Vec<u8>),
    /// What is in it goes into this directory.
    Itself(Vec<u8>),
    /// Into a device or a pipe, which is not replaced.
    Special(Vec<u8>),
}

impl GuestTarget {
    /// Finds out where a file, or a directory, goes that is called `source` here, as `cp` does: into the destination
    /// if that is a directory, else under the destination's name.
    ///
    /// # Errors
    /// There is no such place.
    pub(crate) async fn find<S: AsyncRead + AsyncWrite>(
        sftp: &mut Sftp<S>,
        destination: &[u8],
        source: Option<&[u8]>,
        kind: FileType,
        options: TransferOptions,
    ) -> Result<Self, TransferError> {
        let destination = if destination.is_empty() { b"." } else { destination };
        let fault = |reason| Err(TransferError::guest(destination, reason));
        let names_directory = destination.ends_with(b"/");
        let there = look(sftp, destination).await?;
        match there.map(|there| there.kind().unwrap_or(FileType::File)) {
            Some(FileType::Directory) => within(destination, source, kind),
            Some(_) if options.into_directory || kind == FileType::Directory || names_directory => {
                fault(FailureReason::NotADirectory)
            }
            Some(FileType::File) => match sftp.real_path(destination).await {
                Ok(path) => Ok(Self::Named(path.to_vec())),
                Err(error) => fault(error.into()),
            },
            Some(_) => Ok(Self::Special(destination.to_owned())),
            None if !options.into_directory && (kind == FileType::Directory || !names_directory) => {
                let path = name::without_slashes(destination);
                make_all(sftp, name::parent_of(path), options).await?;
                Ok(Self::Named(path.to_owned()))
            }
            None => {
                make_all(sftp, name::without_slashes(destination), options).await?;
                within(destination, source, kind)
            }
        }
    }
}

fn within(directory: &[u8], source: Option<&[u8]>, kind: FileType) -> Result<GuestTarget, TransferError> {
    match source {
        Some(source) => Ok(GuestTarget::Named(name::join(directory, source))),
        None if kind == FileType::Directory => Ok(GuestTarget::Itself(directory.to_owned())),
        None => Err(TransferError::guest(directory, FailureReason::Directory)),
    }
}

/// Makes a directory and those above it, as far as they are missing and may be made.
async fn make_all<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    directory: &[u8],
    options: TransferOptions,
) -> Result<(), TransferError> {
    let mut missing = Vec::new();
    let mut path = directory;
    loop {
        match look(sftp, path).await? {
            Some(found) if found.kind() == Some(FileType::Directory) => break,
            Some(_) => return Err(TransferError::guest(path, FailureReason::NotADirectory)),
            None if !options.parents => {
                return Err(TransferError::guest(directory, FailureReason::NoDirectory));
            }
            // A guest without even its root has not much to say.
            None if matches!(path, b"/" | b".") => {
                return Err(TransferError::guest(path, FailureReason::NoDirectory));
            }
            None => missing.push(path),
        }
        path = name::without_slashes(name::parent_of(path));
        if path.is_empty() {
            path = b"/";
        }
    }
    for path in missing.into_iter().rev() {
        let made = sftp.make_directory(path, USUAL).await;
        made.map_err(|error| TransferError::guest(path, error))?;
    }
    Ok(())
}

/// What a path leads to, if to anything.
async fn look<S: AsyncRead + AsyncWrite>(
    sftp: &mut Sftp<S>,
    path: &[u8],
) -> Result<Option<Attributes>, TransferError> {
    match sftp.metadata(path).await {
        Ok(found) => Ok(Some(found)),
        Err(SftpError::Missing) => Ok(None),
        Err(error) => Err(TransferError::guest(path, error)),
    }
}
