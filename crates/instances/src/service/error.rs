//! Why a command has failed.

use thiserror::Error;

use crate::{
    DiskSize, DriverError, ImageStoreError, InstanceName, KeyError, RefusedCommand, RegistryError,
    UserDataError,
};

/// Why a command has failed. Displayed, it is a message for people; what lies beneath is its source.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The instance's state does not allow it.
    #[error(transparent)]
    Refused(#[from] RefusedCommand),
    /// There is no such instance, there is one already, or what is written down cannot be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image cannot be had.
    #[error(transparent)]
    Images(#[from] ImageStoreError),
    /// The machine did not do it.
    #[error("instance \"{name}\": {source}")]
    Driver {
        /// Whose machine.
        name: InstanceName,
        /// Why not.
        source: DriverError,
    },
    /// What the user wants of the guest cannot be used.
    #[error(transparent)]
    UserData(#[from] UserDataError),
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The image does not fit onto the disk.
    #[error(
        "a disk of {asked} is smaller than the image's, which has {least}; ask for a larger one with --disk"
    )]
    DiskTooSmall {
        /// What was asked for.
        asked: DiskSize,
        /// The image's disk.
        least: DiskSize,
    },
    /// A disk does not become smaller.
    #[error("a disk can only be made larger; that of instance \"{name}\" has {now}")]
    DiskShrinks {
        /// Whose disk.
        name: InstanceName,
        /// Its size.
        now: DiskSize,
    },
    /// The guest is not up in time.
    #[error(
        "timed out waiting for instance \"{0}\" to come up; it goes on starting, and 'multipass list' shows when it is up"
    )]
    TimedOut(InstanceName),
    /// The machine has ended while its guest was waited for.
    #[error("instance \"{name}\" stopped before it was up: {reason}")]
    EndedEarly {
        /// Which.
        name: InstanceName,
        /// What is known of why.
        reason: String,
    },
    /// All names that could be given are taken.
    #[error("there is no free name left; give one with --name")]
    NoName,
    /// Nobody wants it any more, or the service is ending.
    #[error("it was given up")]
    Cancelled,
}

impl InstanceError {
    /// Whether there is no such instance: the stock service has a code for that.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Registry(RegistryError::DoesNotExist(_)))
    }

    pub(super) fn driver(name: &InstanceName) -> impl Fn(DriverError) -> Self + '_ {
        |source| Self::Driver { name: name.clone(), source }
    }
}
