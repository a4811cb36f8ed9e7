//! Where QEMU's programs are.

use std::path::{Path, PathBuf};

use instances::DriverError;

/// The programs that this driver starts.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Runs a machine.
    pub(crate) qemu: PathBuf,
    /// Makes and changes disks.
    pub(crate) qemu_img: PathBuf,
}

/// Looked at before the search path: a service often has a short one.
const FOLDERS: [&str; 4] = ["/usr/bin", "/opt/local/bin", "/usr/local/bin", "/opt/homebrew/bin"];

/// How QEMU is installed here.
const INSTALL: &str = if cfg!(target_os = "macos") {
    "with MacPorts by 'sudo port install qemu'"
} else {
    "on Debian and Ubuntu with 'sudo apt-get install qemu-system-x86 qemu-utils'"
};

impl Programs {
    /// Looks where programs are installed.
    ///
    /// # Errors
    /// One is missing; it says how to install it.
    pub(crate) fn find() -> Result<Self, DriverError> {
        if !cfg!(target_arch = "x86_64") {
            let why = "virtual machines can be run on x86-64 alone, for now";
            return Err(DriverError::Unavailable(why.into()));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = FOLDERS.into_iter().map(PathBuf::from).chain(std::env::split_paths(&path));
        // A relative folder would be another one at another time.
        Self::in_folders(&folders.filter(|folder| folder.is_absolute()).collect::<Vec<_>>())
    }

    fn in_folders(folders: &[PathBuf]) -> Result<Self, DriverError> {
        let find = |name: &str| {
            let mut others = String::new();
            let mut programs = folders.iter().map(|folder| folder.join(name)).filter(|path| is_program(path));
            let found = programs.find(|path| match beyond_others(path) {
                Ok(()) => true,
                Err(error) => {
                    others += &format!(" {} is not used: {error};", path.display());
                    false
                }
            });
            found.ok_or_else(|| {
                DriverError::Unavailable(match others.as_str() {
                    "" => format!(
                        "{name}, which is part of QEMU, is missing; install QEMU, {INSTALL}, and restart the service"
                    ),
                    _ => format!(
                        "{name} cannot be used:{others} let nobody but root change it, or install QEMU, {INSTALL}, and \
                         restart the service"
                    ),
                })
            })
        };
        Ok(Self { qemu: find("qemu-system-x86_64")?, qemu_img: find("qemu-img")? })
    }
}

/// Whether nobody but root and we could change the program. On macOS those of Homebrew are the user's who installed it, who
/// is an administrator.
fn beyond_others(path: &Path) -> std::io::Result<()> {
    match cfg!(target_os = "macos") {
        true => Ok(()),
        false => durable::private::beyond_others(path),
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_how_to_install_it() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [PathBuf::from("/nonexistent"), folder.path().to_owned()];
        let place = |name: &str, mode: u32| {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).unwrap();
        };
        let missing = |name: &str| {
            let error = Programs::in_folders(&folders).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(INSTALL), "{error}");
        };
        missing("qemu-system-x86_64, which is part of QEMU, is missing");
        place("qemu-system-x86_64", 0o644);
        missing("qemu-system-x86_64, which is part of QEMU, is missing");
        place("qemu-system-x86_64", 0o755);
        missing("qemu-img, which is part of QEMU, is missing");
        place("qemu-img", 0o755);
        assert_eq!(Programs::in_folders(&folders).unwrap().qemu_img, folder.path().join("qemu-img"));
        // Who may write to it decides what runs.
        place("qemu-img", 0o757);
        missing("qemu-img cannot be used: ");
        let error = Programs::in_folders(&folders).unwrap_err().to_string();
        assert!(error.contains("qemu-img is not used: "), "{error}");
    }
}
