//! What the environment says of the service.

use std::env;
use std::path::PathBuf;

/// Names the remote that commands are for.
pub(crate) const REMOTE_VARIABLE: &str = "MULTIPASS_REMOTE";
/// Names where the service listens, if not at the system's default address.
pub(crate) const ADDRESS_VARIABLE: &str = "MULTIPASS_SERVER_ADDRESS";
/// Names the root certificate's file, if it is not the system's.
pub(crate) const ROOT_CERTIFICATE_VARIABLE: &str = "MULTIPASS_ROOT_CERT";
/// Names the fingerprint of the root, of a service on another machine.
pub(crate) const FINGERPRINT_VARIABLE: &str = "MULTIPASS_FINGERPRINT";

/// The variables as they are; one that is empty is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// [`REMOTE_VARIABLE`].
    pub(super) remote: Option<String>,
    /// [`ADDRESS_VARIABLE`].
    pub(super) address: Option<String>,
    /// [`ROOT_CERTIFICATE_VARIABLE`].
    pub(super) root_certificate: Option<PathBuf>,
    /// [`FINGERPRINT_VARIABLE`].
    pub(super) fingerprint: Option<String>,
}

impl Environment {
    /// This process's.
    pub(super) fn of_process() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            remote: text(REMOTE_VARIABLE),
            address: text(ADDRESS_VARIABLE),
            root_certificate: variable(ROOT_CERTIFICATE_VARIABLE).map(PathBuf::from),
            fingerprint: text(FINGERPRINT_VARIABLE),
        }
    }
}
