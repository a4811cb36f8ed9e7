//! Where a stock service keeps its settings, which are not in its data directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Below a directory for settings.
const SETTINGS: &str = "multipassd/multipassd.conf";
/// Where the snap has its data, and its settings.
const SNAP_DATA: &str = "/var/snap/multipass/common";
const SNAP_SETTINGS: &str = "/var/snap/multipass/current/config";

/// The settings of a stock service that is run by this user, in this environment.
pub(crate) fn settings() -> Option<PathBuf> {
    settings_by(|name| std::env::var_os(name), home_of_this_user)
}

/// The settings of the stock service whose data are in `data`.
pub(crate) fn settings_of(data: &Path) -> Option<PathBuf> {
    match data.starts_with(SNAP_DATA) {
        true => Some(Path::new(SNAP_SETTINGS).join(SETTINGS)),
        false => settings(),
    }
}

fn settings_by(
    variable: impl Fn(&str) -> Option<OsString>,
    home: impl FnOnce() -> Option<PathBuf>,
) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = absolute("DAEMON_CONFIG_HOME").or_else(|| {
        if cfg!(windows) {
            return absolute("LOCALAPPDATA");
        }
        let below = if cfg!(target_os = "macos") { "Library/Preferences" } else { ".config" };
        let usual = || absolute("HOME").or_else(home).map(|home| home.join(below));
        if cfg!(target_os = "macos") { usual() } else { absolute("XDG_CONFIG_HOME").or_else(usual) }
    })?;
    Some(directory.join(SETTINGS))
}

/// A service may be started without an environment.
#[cfg(unix)]
fn home_of_this_user() -> Option<PathBuf> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir)
}

#[cfg(not(unix))]
fn home_of_this_user() -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_more_specific_variable_wins() {
        let all = [("DAEMON_CONFIG_HOME", "/daemon"), ("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/x")];
        for (environment, expected) in [
            (&all[..], "/daemon/multipassd/multipassd.conf"),
            (&all[1..], "/xdg/multipassd/multipassd.conf"),
            (&all[2..], "/home/x/.config/multipassd/multipassd.conf"),
            (
                &[("XDG_CONFIG_HOME", "relative"), ("DAEMON_CONFIG_HOME", "")],
                "/root/.config/multipassd/multipassd.conf",
            ),
        ] {
            let variable = |name: &str| {
                environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            let found = settings_by(variable, || Some("/root".into()));
            assert_eq!(found, Some(expected.into()), "{environment:?}");
        }
    }

    #[test]
    fn the_snap_has_settings_of_its_own() {
        let snap = Path::new("/var/snap/multipass/common/data/multipassd");
        let settings = Path::new("/var/snap/multipass/current/config/multipassd/multipassd.conf");
        assert_eq!(settings_of(snap).as_deref(), Some(settings));
        assert_ne!(settings_of(Path::new("/var/snap/multipassd/common/data")).as_deref(), Some(settings));
    }
}
