//! The image itself: a partition to start from, one with the system, put together without mounting anything.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::kernel::Boot;
use super::{program, quietly, write};

const SYSLINUX_CFG: &str = include_str!("../../guest/syslinux.cfg");
const BOOT_SECTOR: &str = "/usr/lib/syslinux/mbr/mbr.bin";

const SECTOR: u64 = 512;
const MIB: u64 = 1024 * 1024;
/// Room for the largest kernel that a distribution has.
const BOOT: Partition = Partition { start: MIB, size: 40 * MIB };
/// Room for what the tests send to the guest.
const SYSTEM: Partition = Partition { start: BOOT.start + BOOT.size, size: 96 * MIB };

/// In bytes.
struct Partition {
    start: u64,
    size: u64,
}

/// Makes the image in `folder`.
///
/// # Errors
/// A program failed.
pub(super) fn build(boot: &Boot, system: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let disk = folder.join("disk.raw");
    let file = std::fs::File::create(&disk).context("cannot create the disk")?;
    file.set_len(SYSTEM.start + SYSTEM.size).context("cannot set the size of the disk")?;
    drop(file);
    partition(&disk, folder)?;
    boot_partition(boot, &disk, folder)?;
    // With its journal: a guest may be switched off at any moment.
    let offset = format!("offset={},root_owner=0:0", SYSTEM.start);
    quietly(
        program("mke2fs")
            .args(["-q", "-t", "ext4", "-L", "guest", "-E", &offset, "-d"])
            .arg(system)
            .arg(&disk)
            .arg(format!("{}k", SYSTEM.size / 1024)),
    )?;
    let image = folder.join("guest.qcow2");
    quietly(program("qemu-img").args(["convert", "-c", "-f", "raw", "-O", "qcow2"]).arg(&disk).arg(&image))
        .context("the image needs qemu-img, from the package qemu-utils")?;
    Ok(image)
}

fn partition(disk: &Path, folder: &Path) -> anyhow::Result<()> {
    let row = |partition: &Partition, kind: &str| {
        format!("start={}, size={}, {kind}\n", partition.start / SECTOR, partition.size / SECTOR)
    };
    let table = folder.join("partitions");
    write(&table, row(&BOOT, "type=c, bootable") + &row(&SYSTEM, "type=83"))?;
    let table = std::fs::File::open(&table).context("cannot read the table of partitions")?;
    quietly(program("sfdisk").arg("--quiet").arg(disk).stdin(table))
}

fn boot_partition(boot: &Boot, disk: &Path, folder: &Path) -> anyhow::Result<()> {
    let partition = folder.join("boot.fat");
    let settings = folder.join("syslinux.cfg");
    write(&settings, SYSLINUX_CFG)?;
    quietly(program("mkfs.vfat").arg("-C").arg(&partition).arg((BOOT.size / 1024).to_string()))?;
    let files = [(&boot.kernel, "::vmlinuz"), (&boot.initramfs, "::initrd"), (&settings, "::syslinux.cfg")];
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
    place(&partition, BOOT.start)
}
