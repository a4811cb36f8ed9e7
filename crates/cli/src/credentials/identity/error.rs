//! Why the client has no identity, and what the user can do about it.

use std::path::PathBuf;

use thiserror::Error;
use transport::tls::IdentityError;

use crate::files::FileError;
use crate::platform;

/// Why the client has no identity.
#[derive(Debug, Error)]
pub(crate) enum IdentityStoreError {
    /// The environment does not tell where the user's files are.
    #[error("cannot tell where your client certificate belongs: {} is not set", platform::HOME_VARIABLE)]
    NoHome,
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files are there and are not an identity.
    #[error("the client certificate {} and its key {} cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: IdentityError,
    },
    /// The key is there alone, and no certificate can be made for it.
    #[error("the key {} has no certificate {}, and none can be made for it", key.display(), certificate.display())]
    KeyUnusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with the key.
        source: rcgen::Error,
    },
    /// Root was pointed at a directory that another user has in his hands.
    #[error("{} belongs to another user, and root keeps no client certificate there", .0.display())]
    NotOwn(PathBuf),
    /// No key or certificate could be made.
    #[error("cannot make a client certificate")]
    Generate(#[from] rcgen::Error),
}

impl IdentityStoreError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::NoHome => format!("Set {} to your home directory.", platform::HOME_VARIABLE),
            Self::File(fault) => fault.next_step(),
            Self::Unusable { .. } | Self::KeyUnusable { .. } => {
                "Restore both files from a backup; or move both away and run `multipass authenticate` with a new \
                 identity."
                    .to_owned()
            }
            Self::NotOwn(_) => format!(
                "Run the command without sudo; or, as root, set {} to root's own home directory: `sudo -H`.",
                platform::HOME_VARIABLE
            ),
            Self::Generate(_) => "Try again.".to_owned(),
        }
    }
}
