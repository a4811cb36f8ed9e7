//! Where the service is found on each platform. The paths are those of the stock service, so that
//! either half can be swapped.

use std::path::PathBuf;

use crate::{Endpoint, HostPort};

/// The address that both sides use when the user names none.
#[must_use]
pub fn default_endpoint() -> Endpoint {
    #[cfg(target_os = "macos")]
    return Endpoint::Unix(PathBuf::from("/var/run/multipass_socket"));
    #[cfg(all(unix, not(target_os = "macos")))]
    return Endpoint::Unix(PathBuf::from("/run/multipass_socket"));
    #[cfg(not(unix))]
    return Endpoint::Tcp(default_host_port());
}

/// Where the service is found over a network when the user names no address.
#[must_use]
pub fn default_host_port() -> HostPort {
    HostPort::new("localhost", 50051)
}

/// The world-readable file in which the system's service publishes its root certificate.
#[must_use]
pub fn system_root_certificate() -> PathBuf {
    #[cfg(windows)]
    {
        let base = std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into());
        PathBuf::from(base).join(r"Multipass\data\multipass_root_cert.pem")
    }
    #[cfg(not(windows))]
    PathBuf::from("/usr/local/etc/multipassd/multipass_root_cert.pem")
}
