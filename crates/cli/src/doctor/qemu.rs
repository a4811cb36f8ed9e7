//! Whether QEMU is there, with which a service on this machine runs instances.

use std::env;
use std::path::{Path, PathBuf};

use super::remedy;
use super::report::Verdict;

/// Where the service looks before the search path.
const FOLDERS: [&str; 4] = ["/usr/bin", "/opt/local/bin", "/usr/local/bin", "/opt/homebrew/bin"];
/// By which program packages are installed, and how.
const INSTALLERS: [(&str, &str); 4] = [
    ("apt-get", "apt-get install qemu-system-x86 qemu-utils"),
    ("dnf", "dnf install qemu-system-x86-core qemu-img"),
    ("port", "port install qemu"),
    ("brew", "brew install qemu"),
];

/// Looks for it where the service does.
pub(super) fn check() -> Verdict {
    if cfg!(windows) {
        return Verdict::skipped("this service runs no instances on Windows");
    }
    if !cfg!(target_arch = "x86_64") {
        return Verdict::skipped("this service runs instances on x86-64 alone");
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = FOLDERS.into_iter().map(PathBuf::from).chain(env::split_paths(&path));
    check_in(&folders.filter(|folder| folder.is_absolute()).collect::<Vec<_>>())
}

fn check_in(folders: &[PathBuf]) -> Verdict {
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path));
    let machine = format!("qemu-system-{}{}", env::consts::ARCH, env::consts::EXE_SUFFIX);
    let image = format!("qemu-img{}", env::consts::EXE_SUFFIX);
    let (missing, found) = match (find(&machine), find(&image)) {
        (Some(machine), Some(_)) => return Verdict::passed(machine.display().to_string()),
        (None, _) => (machine, "which runs instances"),
        (Some(_), None) => (image, "which makes their disks"),
    };
    let installer = INSTALLERS.iter().find(|(program, _)| find(program).is_some());
    Verdict::warning(
        format!("{missing} is missing on this machine, {found}"),
        match installer {
            Some(_) => {
                "Other commands work, but instances cannot be launched. Install QEMU and restart the service:"
            }
            None => {
                "Other commands work, but instances cannot be launched. Install QEMU and restart the service."
            }
        },
        installer.map(|(program, command)| match *program {
            // It refuses to be run as root.
            "brew" => (*command).to_owned(),
            _ => remedy::as_root(command),
        }),
    )
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(all(unix, test))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_how_to_install_it() {
        let folder = tempfile::tempdir().expect("a directory");
        let folders = [PathBuf::from("/nonexistent"), folder.path().to_owned()];
        let machine = format!("qemu-system-{}", env::consts::ARCH);
        let place = |name: &str, mode: u32| {
            fs::write(folder.path().join(name), "").expect("written");
            fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("set");
        };
        let missing = |name: &str, command: Option<&str>| match check_in(&folders) {
            Verdict::Warning(diagnosis) => {
                assert!(diagnosis.cause.starts_with(name), "{diagnosis:?}");
                let found = diagnosis.command.unwrap_or_default();
                assert!(found.ends_with(command.unwrap_or_default()), "{found}");
                assert_eq!(found.is_empty(), command.is_none());
            }
            other => panic!("{other:?}"),
        };
        missing(&machine, None);
        place("apt-get", 0o755);
        place(&machine, 0o644);
        missing(&machine, Some("apt-get install qemu-system-x86 qemu-utils"));
        place(&machine, 0o755);
        missing("qemu-img", Some("apt-get install qemu-system-x86 qemu-utils"));
        place("qemu-img", 0o755);
        assert_eq!(check_in(&folders), Verdict::passed(folder.path().join(machine).display().to_string()));
    }
}
