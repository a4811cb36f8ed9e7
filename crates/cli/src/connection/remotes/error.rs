//! Why a remote cannot be used or changed, and what the user can do about it.

use thiserror::Error;
use transport::Endpoint;

use super::remote::{LOCAL, RemoteName};
use crate::files::list::ListError;

/// Why a remote cannot be used, or not be changed.
#[derive(Debug, Error)]
pub(crate) enum RemotesError {
    /// The file cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// There is none of that name.
    #[error("there is no remote '{0}'")]
    Unknown(RemoteName),
    /// There is one of that name, and it is not to be replaced.
    #[error("there is a remote '{0}' already")]
    Exists(RemoteName),
    /// The built-in one stays as it is.
    #[error("the remote '{LOCAL}' is built in: it is this machine's own service, at its usual address")]
    Local,
    /// The address would not be read from the file as it is.
    #[error("the address {0} cannot be kept in the list of remotes")]
    Unwritable(Endpoint),
}

impl RemotesError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::List(fault) => format!(
                "{} `--remote {LOCAL}` reaches this machine's own service meanwhile.",
                fault.next_step()
            ),
            Self::Unknown(_) => "`multipass remote list` shows which there are.".to_owned(),
            Self::Exists(name) => format!(
                "`multipass remote show {name}` shows it. Choose another name; or, to change it, add --replace."
            ),
            Self::Local => "It stays as it is; a remote that you add needs another name.".to_owned(),
            Self::Unwritable(_) => "Have the service listen at another one, without such spaces.".to_owned(),
        }
    }
}
