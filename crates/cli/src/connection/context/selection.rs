//! Which service and which root a command is for, and what says so.

use std::path::PathBuf;

use transport::tls::RootFingerprint;

use crate::connection::{Remote, RemoteName};

/// How the user names the root by which the service is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedRoot {
    /// Not at all: it is the one that is usual for the address.
    Default,
    /// By its certificate's file.
    Certificate(PathBuf),
    /// By its fingerprint.
    Fingerprint {
        /// The fingerprint.
        fingerprint: RootFingerprint,
        /// Whether it is to be remembered for the address: it was written for this command, and for no remote.
        is_remembered: bool,
    },
    /// By the fingerprint that its remote has.
    Remote {
        /// What the remote is called.
        name: RemoteName,
        /// The fingerprint.
        fingerprint: RootFingerprint,
    },
}

/// A remote that a command is for.
#[derive(Clone, Debug)]
pub(crate) struct SelectedRemote {
    /// Which.
    pub(crate) remote: Remote,
    /// What says so.
    pub(crate) source: ServiceSource,
}

/// What says which service is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceSource {
    /// `--remote`.
    RemoteOption,
    /// The environment: `MULTIPASS_REMOTE`.
    RemoteVariable,
    /// The environment: `MULTIPASS_SERVER_ADDRESS`.
    AddressVariable,
    /// The user's default remote.
    DefaultRemote,
    /// Nothing: it is the service at the platform's address.
    Nothing,
}
