//! Copies files and directories between this machine and a guest, as `scp -r` and `cp -r` do.
//!
//! The guest may be hostile: what it says of names, kinds, links and lengths is believed only as far as it can do
//! no harm. Nothing is made outside of the destination that the user named, nothing is written through a link of a
//! guest's, and no file is under its name before it is whole.
//!
//! Which guest it is, and how the user is told, is for who calls.

mod download;
mod error;
mod guest_target;
mod link;
mod local_target;
mod name;
mod platform;
mod progress;
mod upload;

pub use download::{download, download_to};
pub use error::{FailureReason, Location, TransferError};
pub use progress::{CurrentFile, TransferProgress};
pub use upload::{UploadSource, upload, upload_from};

/// Directories in directories, at most; each has an open file here and one in the guest.
const DEEPEST: usize = 100;
/// What a guest may have in the directories of one transfer, at most.
const MOST_ENTRIES: u64 = 1_000_000;

/// What the user wants done.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransferOptions {
    /// Directories are copied with all that is in them, else refused.
    pub recursive: bool,
    /// Directories that are missing on the way to the destination are made.
    pub parents: bool,
    /// The destination has to be a directory, as more than one thing is copied there.
    pub into_directory: bool,
}

/// A name for what is not whole yet, that nothing else has.
fn temporary_name() -> Result<String, std::io::Error> {
    let mut digits = [0; 8];
    getrandom::fill(&mut digits).map_err(std::io::Error::other)?;
    Ok(format!(".multipass-{:016x}.part", u64::from_ne_bytes(digits)))
}
