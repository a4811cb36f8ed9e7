//! Whether a service runs over a directory, as far as that can be seen: the stock one takes no lock.

use std::path::Path;

/// The number of a process that is a `multipassd` over `data`, whichever: by a file that it has open below there, or
/// by the environment that it was started with. None if there is none that we may look into, and everywhere but on
/// Linux.
pub(crate) fn process_using(data: &Path) -> Option<u32> {
    system::process_using(data)
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    pub(super) fn process_using(data: &Path) -> Option<u32> {
        let own = std::process::id();
        let numbers = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter(|number| *number != own)
            .find(|number| uses(&Path::new("/proc").join(number.to_string()), data))
    }

    /// Only of a process that may change the directory: anybody can call a program `multipassd`.
    fn uses(process: &Path, data: &Path) -> bool {
        let owner = |path: &Path| path.metadata().map(|metadata| metadata.uid());
        let may = |user| user == 0 || owner(data).is_ok_and(|owner| owner == user);
        if !owner(process).is_ok_and(may) {
            return false;
        }
        let name = fs::read(process.join("comm")).unwrap_or_default();
        name.trim_ascii_end() == b"multipassd"
            && (has_in_environment(process, data) || has_open(process, data))
    }

    fn has_open(process: &Path, data: &Path) -> bool {
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file.starts_with(data))
    }

    /// Whether its environment says that its data are there.
    fn has_in_environment(process: &Path, data: &Path) -> bool {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let variable = |name: &str| {
            let mut values = environment.split(|byte| *byte == 0).filter_map(|entry| {
                entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").filter(|value| !value.is_empty())
            });
            values.next().map(|value| PathBuf::from(OsStr::from_bytes(value)))
        };
        let place = match variable("MULTIPASS_STORAGE") {
            Some(storage) => Some(storage.join("data")),
            None => variable("XDG_DATA_HOME")
                .or_else(|| Some(variable("HOME")?.join(".local/share")))
                .map(|directory| directory.join("multipassd")),
        };
        place.and_then(|place| place.canonicalize().ok()).is_some_and(|place| place == data)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn process_using(_data: &std::path::Path) -> Option<u32> {
        None
    }
}
