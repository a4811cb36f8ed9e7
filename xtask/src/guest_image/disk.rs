//! The image itself: a partition to start from, one with the system, put together without mounting anything.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::kernel::Boot;
use super::{program, quietly, write};

const BOOT_SECTOR: &str = "/usr/lib/syslinux/mbr/mbr.bin";

const SECTOR: u64 = 512;
const MIB: u64 = 1024 * 1024;

/// What is on a disk.
pub(super) struct Content<'a> {
    pub(super) boot: &'a Boot,
    /// What syslinux is told: `syslinux.cfg`.
    pub(super) settings: &'a str,
    /// The folder that becomes the root file system.
    pub(super) system: &'a Path,
    /// Room for the kernel, in MiB.
    pub(super) boot_room: u64,
    /// Room for the root file system, in MiB.
    pub(super) system_room: u64,
}

/// In bytes.
struct Partition {
    start: u64,
    size: u64,
}

/// Makes the image in `folder`, and there at first as large as the disk.
///
/// # Errors
/// A program failed.
pub(super) fn build(content: &Content<'_>, folder: &Path) -> anyhow::Result<PathBuf> {
    let boot = Partition { start: MIB, size: content.boot_room * MIB };
    let system = Partition { start: boot.start + boot.size, size: content.system_room * MIB };
    let disk = folder.join("disk.raw");
    let file = std::fs::File::create(&disk).context("cannot create the disk")?;
    file.set_len(system.start + system.size).context("cannot set the size of the disk")?;
    drop(file);
    partition(&disk, &boot, &system, folder)?;
    boot_partition(content, &boot, &disk, folder)?;
    // With its journal: a guest may be switched off at any moment.
    let offset = format!("offset={},root_owner=0:0", system.start);
    quietly(
        program("mke2fs")
            .args(["-q", "-t", "ext4", "-L", "guest", "-E", &offset, "-d"])
            .arg(content.system)
            .arg(&disk)
            .arg(format!("{}k", system.size / 1024)),
    )?;
    let image = folder.join("image.qcow2");
    quietly(program("qemu-img").args(["convert", "-c", "-f", "raw", "-O", "qcow2"]).arg(&disk).arg(&image))
        .context("the image needs qemu-img, from the package qemu-utils")?;
    Ok(image)
}

fn partition(disk: &Path, boot: &Partition, system: &Partition, folder: &Path) -> anyhow::Result<()> {
    let row = |partition: &Partition, kind: &str| {
        format!("start={}, size={}, {kind}\n", partition.start / SECTOR, partition.size / SECTOR)
    };
    let table = folder.join("partitions");
    write(&table, row(boot, "type=c, bootable") + &row(system, "type=83"))?;
    let table = std::fs::File::open(&table).context("cannot read the table of partitions")?;
    quietly(program("sfdisk").arg("--quiet").arg(disk).stdin(table))
}

fn boot_partition(content: &Content<'_>, boot: &Partition, disk: &Path, folder: &Path) -> anyhow::Result<()> {
    let partition = folder.join("boot.fat");
    let settings = folder.join("syslinux.cfg");
    write(&settings, content.settings)?;
    quietly(program("mkfs.vfat").arg("-C").arg(&partition).arg((boot.size / 1024).to_string()))?;
    let Boot { kernel, initramfs } = content.boot;
    let files = [(kernel, "::vmlinuz"), (initramfs, "::initrd"), (&settings, "::syslinux.cfg")];
    for (from, to) in files {
        quietly(program("mcopy").arg("-i").arg(&partition).arg(from).arg(to))?;
    }
    quietly(program("syslinux").arg("--install").arg(&partition))?;
    let place = |from: &Path, seek: u64| {
        let (mut from_argument, mut to) = (std::ffi::OsString::from("if="), std::ffi::OsString::from("of="));
        from_argument.push(from);
        to.push(disk);
        let seek = format!("seek={}", seek / SECTOR);
        quietly(program("dd").args([from_argument, to]).args([
            &seek,
            "bs=512",
            "conv=notrunc",
            "status=none",
        ]))
    };
    place(Path::new(BOOT_SECTOR), 0)?;
    place(&partition, boot.start)
}
