//! What the service remembers of its clients.

pub(crate) mod file;
pub(crate) mod memory;
mod pem_file;
mod state;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use thiserror::Error;

use crate::{Channel, ClientCertificate, Fingerprint, PassphraseHash};

/// The clients that may use the service, the passphrase that lets others in, and whether the first
/// client is still awaited.
///
/// Each change is atomic and checks its condition in the same step, against what is stored and not
/// what is remembered: two callers, or two processes, cannot both be first.
pub trait TrustStore: Debug + Send + Sync {
    /// Whether a client is trusted. Constant time, and never waits for a change in progress.
    fn contains(&self, client: &Fingerprint) -> bool;

    /// Whether no client is trusted.
    fn is_empty(&self) -> bool;

    /// Whether the first client is awaited: nobody has ever been enrolled.
    fn is_armed(&self) -> bool;

    /// The hash of the passphrase, if one is set. Never waits for a change in progress.
    fn passphrase(&self) -> Option<PassphraseHash>;

    /// Enrols a client if `condition` holds. Once it returns [`Outcome::Enrolled`] the client is
    /// stored for good. *Blocking*.
    ///
    /// # Errors
    /// The store could not be read or written. What is remembered is what is on the disk.
    fn enrol_if(&self, condition: &Condition, enrolment: &Enrolment<'_>) -> Result<Outcome, StoreError>;

    /// Sets the passphrase, or unsets it. Once it returns, the change is stored for good. *Blocking*.
    ///
    /// # Errors
    /// The store could not be written. What is remembered is what is on the disk.
    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError>;
}

/// What must hold at the moment of an enrolment.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Nobody has ever been enrolled.
    FirstClient,
    /// The passphrase that the client gave is still the one that is set.
    PassphraseIs(PassphraseHash),
}

/// A client to be enrolled.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// Its certificate.
    pub certificate: &'a ClientCertificate,
    /// Where it called from.
    pub channel: &'a Channel,
    /// The moment, for the record.
    pub at: SystemTime,
}

/// What became of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client is stored, by this call or an earlier one.
    Enrolled,
    /// The condition did not hold; nothing has changed.
    ConditionFailed,
}

/// Why the store could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be read. It is never taken for an empty one.
    #[error("cannot read {path}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or directory could not be written.
    #[error("cannot write {path}")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The passphrase file holds something else.
    #[error(
        "{path} does not hold a passphrase hash; remove the file, then set a passphrase again with 'multipass set local.passphrase'"
    )]
    NotAPassphraseHash {
        /// The file.
        path: PathBuf,
    },
}
