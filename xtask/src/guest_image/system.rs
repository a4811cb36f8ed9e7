//! The files of the guest's root file system: busybox, dropbear with its libraries, and our own few scripts.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{copy, program, write};
use crate::command::answer;

/// A file of ours in the guest.
pub(super) struct Ours {
    path: &'static str,
    pub(super) content: &'static str,
    mode: u32,
}

const fn data(path: &'static str, content: &'static str) -> Ours {
    Ours { path, content, mode: 0o644 }
}

const fn script(path: &'static str, content: &'static str) -> Ours {
    Ours { path, content, mode: 0o755 }
}

pub(super) const FILES: [Ours; 10] = [
    // The event's name as busybox's acpid makes it from a press of the power button.
    script("etc/acpi/PWRF/00000080", include_str!("../../guest/power-button")),
    script("etc/boot", include_str!("../../guest/boot")),
    data("etc/group", include_str!("../../guest/group")),
    data("etc/hostname", "guest\n"),
    data("etc/inittab", include_str!("../../guest/inittab")),
    data("etc/os-release", include_str!("../../guest/os-release")),
    data("etc/passwd", include_str!("../../guest/passwd")),
    // dropbear lets in nobody whose shell is not listed.
    data("etc/shells", "/bin/sh\n"),
    script("etc/udhcpc.script", include_str!("../../guest/udhcpc.script")),
    data("etc/dropbear/README", "The host keys are made or written at boot.\n"),
];

const FOLDERS: [&str; 12] = [
    "dev",
    "home/ubuntu",
    "mnt",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
    "var/log",
];

/// What is linked to busybox under its own name is all that it can do.
pub(super) const BUSYBOX: &str = "/bin/busybox";

const PROGRAMS: [&str; 4] = [
    "/usr/bin/dropbearconvert",
    "/usr/bin/dropbearkey",
    "/usr/lib/openssh/sftp-server",
    "/usr/sbin/dropbear",
];

/// Makes `folder` hold the root file system.
///
/// # Errors
/// A file is not where its package should have it, or one cannot be written.
pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    for name in FOLDERS {
        fs::create_dir_all(folder.join(name)).with_context(|| format!("cannot create {name}"))?;
    }
    copy(Path::new(BUSYBOX), &folder.join("bin/busybox"))?;
    let commands = answer(program(BUSYBOX).arg("--list")).context("busybox does not say what it can do")?;
    for command in commands.lines().filter(|command| *command != "busybox") {
        symlink("busybox", folder.join("bin").join(command))
            .with_context(|| format!("cannot link {command} to busybox"))?;
    }
    symlink("../bin/busybox", folder.join("sbin/init")).context("cannot link init to busybox")?;

    let mut files: BTreeSet<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
    for name in PROGRAMS {
        let linked =
            answer(program("ldd").arg(name)).with_context(|| format!("{name} cannot be examined"))?;
        files.extend(libraries(&linked));
    }
    for file in files {
        copy(&file, &folder.join(file.strip_prefix("/").unwrap_or(&file)))?;
    }

    // Where dropbear looks for it.
    symlink("openssh/sftp-server", folder.join("usr/lib/sftp-server")).context("cannot link sftp-server")?;

    for file in &FILES {
        let path = folder.join(file.path);
        write(&path, file.content)?;
        fs::set_permissions(&path, Permissions::from_mode(file.mode))
            .with_context(|| format!("cannot set the mode of {}", file.path))?;
    }
    Ok(folder.to_owned())
}

/// The files that `ldd` names: libraries after an arrow, the loader alone.
fn libraries(linked: &str) -> impl Iterator<Item = PathBuf> {
    linked.lines().filter_map(|line| {
        let path = line.split_once("=>").map_or(line, |(_, found)| found);
        let path = path.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_says_is_understood() {
        let linked = "\tlinux-vdso.so.1 (0x00007f)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<_> = libraries(linked).collect();
        assert_eq!(
            found,
            [Path::new("/lib/x86_64-linux-gnu/libz.so.1"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
    }
}
