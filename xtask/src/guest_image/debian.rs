//! A real Debian for virtual machines: its kernel, systemd, cloud-init and OpenSSH, from its packages.
//!
//! `mmdebstrap` makes the root file system; the bootloader is that of the small image. Only root can make it: the
//! files have many owners.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::disk::{self, Content};
use super::kernel::Boot;
use super::{program, write};
use crate::command::{answer, run};

/// What it is made with, beside what the small image is.
pub(super) const PACKAGES: [&str; 2] = ["debian-archive-keyring", "mmdebstrap"];

pub(super) const RECIPE: [&str; 4] =
    [include_str!("debian.rs"), include_str!("disk.rs"), SYSLINUX_CFG, CLOUD_CFG];

const SYSLINUX_CFG: &str = include_str!("../../guest/debian-syslinux.cfg");
const CLOUD_CFG: &str = include_str!("../../guest/debian-cloud.cfg");

/// Debian 12.
const SUITE: &str = "bookworm";

/// What is in the guest, beside what each Debian has.
const IN_THE_GUEST: [&str; 14] = [
    "cloud-guest-utils",
    "cloud-init",
    "dbus",
    "fdisk",
    "ifupdown",
    "initramfs-tools",
    "iproute2",
    "isc-dhcp-client",
    "linux-image-cloud-amd64",
    "netbase",
    "openssh-server",
    "procps",
    "sudo",
    "systemd-sysv",
];

/// What nobody reads there.
const LEFT_OUT: [&str; 3] = ["doc", "locale", "man"];

/// Makes the image in `folder`.
///
/// # Errors
/// This is not root's, the packages cannot be fetched, or a program failed.
pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let uid = answer(program("id").arg("-u"));
    ensure!(uid.is_some_and(|uid| uid == "0"), "a Debian image is made by root: its files have many owners");
    let system = folder.join("system");
    let mut bootstrap = program("mmdebstrap");
    bootstrap.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
    bootstrap.arg(format!("--include={}", IN_THE_GUEST.join(",")));
    bootstrap.args(LEFT_OUT.map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")));
    run(bootstrap.arg(SUITE).arg(&system))?;

    write(&system.join("etc/cloud/cloud.cfg.d/90_image.cfg"), CLOUD_CFG)?;
    // Each guest has its own.
    write(&system.join("etc/machine-id"), "")?;
    write(&system.join("etc/hostname"), "guest\n")?;

    let boot = Boot { kernel: in_boot(&system, "vmlinuz-")?, initramfs: in_boot(&system, "initrd.img-")? };
    let content =
        Content { boot: &boot, settings: SYSLINUX_CFG, system: &system, boot_room: 96, system_room: 1400 };
    disk::build(&content, folder)
}

/// The file of that beginning in `/boot`; a new system has one.
fn in_boot(system: &Path, begins: &str) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(system.join("boot")).context("the system has no /boot")?;
    let found = entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(begins)));
    Ok(found.with_context(|| format!("the system has no /boot/{begins}…"))?.path())
}
