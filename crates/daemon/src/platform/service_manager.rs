//! The manager of services that has started the daemon, which wants to know how far it is.

#[cfg(windows)]
use super::windows_service;

/// What a service manager wants to know.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Clients can connect.
    Ready,
    /// The daemon is about to end.
    Stopping,
}

/// Tells systemd, if it started the daemon (`Type=notify`), and so with the service manager of Windows; elsewhere
/// nothing.
pub fn notify_manager(stage: Stage) {
    #[cfg(target_os = "linux")]
    {
        let state = match stage {
            Stage::Ready => sd_notify::NotifyState::Ready,
            Stage::Stopping => sd_notify::NotifyState::Stopping,
        };
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!("cannot tell the service manager: {error}");
        }
    }
    #[cfg(windows)]
    windows_service::notify(stage);
    #[cfg(not(any(target_os = "linux", windows)))]
    let _ = stage;
}
