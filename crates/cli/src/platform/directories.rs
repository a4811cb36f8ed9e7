//! Where this user's files are.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The directory of the user's client certificate, shared by all of the user's clients, stock ones included.
/// `None` when the environment does not tell where the user's files are.
pub(crate) fn identity_directory() -> Option<PathBuf> {
    Some(data_directory(|name| env::var_os(name))?.join("multipass-client-certificate"))
}

/// The directory of what this client alone keeps for the user. `None` as for [`identity_directory`].
pub(crate) fn own_directory() -> Option<PathBuf> {
    Some(data_directory(|name| env::var_os(name))?.join("multipass-client"))
}

/// What has to be set in the environment for [`identity_directory`] to be known.
pub(crate) const HOME_VARIABLE: &str = if cfg!(windows) { "LOCALAPPDATA" } else { "HOME" };

/// Whether what stands before the first colon of a path is a drive.
pub(crate) fn is_drive(prefix: &str) -> bool {
    cfg!(windows) && prefix.len() == 1
}

/// Where programs keep a user's data.
fn data_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        return set(HOME_VARIABLE);
    }
    if cfg!(target_os = "macos") {
        return Some(set(HOME_VARIABLE)?.join("Library/Application Support"));
    }
    // "All paths set in these environment variables must be absolute. If an implementation encounters a
    // relative path […] it should consider the path invalid and ignore it" (XDG Base Directory).
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set(HOME_VARIABLE)?.join(".local/share")))
}

#[cfg(not(any(windows, target_os = "macos")))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_the_xdg_specification() {
        for (xdg, home, expected) in [
            (Some("/x"), Some("/home/u"), Some("/x")),
            (None, Some("/home/u"), Some("/home/u/.local/share")),
            (Some(""), Some("/home/u"), Some("/home/u/.local/share")),
            (Some("relative"), Some("/home/u"), Some("/home/u/.local/share")),
            (Some("relative"), None, None),
            (None, Some(""), None),
        ] {
            let found = data_directory(|name| if name == "HOME" { home } else { xdg }.map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{xdg:?} {home:?}");
        }
    }
}
