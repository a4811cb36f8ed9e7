//! The distribution's kernel for virtual machines, and the first file system that loads its modules.
//!
//! Neither is installed on this machine: the packages are only fetched and unpacked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::{copy, program, quietly, system, write};
use crate::command::answer;
use crate::packages;

pub(super) const FILES: [&str; 1] = [include_str!("../../guest/initramfs-init")];

/// Packages that depend on the newest kernel: Debian's and Ubuntu's.
const NEWEST: [&str; 2] = ["linux-image-cloud-amd64", "linux-image-virtual"];

/// What the guest needs and a distribution may have left out of the kernel's own file.
const MODULES: [&str; 11] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859-1",
    "nls_utf8",
    "button",
    "evdev",
];

/// What the machine is started with.
pub(super) struct Boot {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
}

/// The packages that the newest kernel is in: Ubuntu has its modules in one of their own.
///
/// # Errors
/// There is none, even after the lists of packages were fetched again.
pub(super) fn find() -> anyhow::Result<Vec<String>> {
    if let Some(found) = NEWEST.into_iter().find_map(newest) {
        return Ok(found);
    }
    packages::update()?;
    NEWEST.into_iter().find_map(newest).with_context(|| {
        format!("no kernel for virtual machines: neither {} has one here", NEWEST.join(" nor "))
    })
}

fn newest(package: &str) -> Option<Vec<String>> {
    let image = packages::dependencies(package)
        .into_iter()
        .find(|name| name.strip_prefix("linux-image-").is_some_and(begins_with_digit))?;
    let modules = packages::dependencies(&image)
        .into_iter()
        .find(|name| name.strip_prefix("linux-modules-").is_some_and(begins_with_digit));
    Some([image].into_iter().chain(modules).collect())
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Fetches the kernel into `folder` and makes the first file system for it.
///
/// # Errors
/// A package cannot be fetched, or is not built as expected.
pub(super) fn build(packages: &[String], folder: &Path) -> anyhow::Result<Boot> {
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    quietly(program("apt-get").current_dir(folder).args(["--quiet", "download"]).args(packages))?;
    for file in files(folder)? {
        if file.extension().is_some_and(|extension| extension == "deb") {
            quietly(program("dpkg").arg("--extract").arg(&file).arg(&unpacked))?;
        }
    }
    let kernel = files(&unpacked.join("boot"))?
        .into_iter()
        .find(|file| name(file).starts_with("vmlinuz-"))
        .context("the kernel's package has no boot/vmlinuz-…")?;
    let release = name(&kernel).trim_start_matches("vmlinuz-").to_owned();
    // Newer packages have all in /usr; what reads it looks in /lib.
    if !unpacked.join("lib").exists() {
        symlink("usr/lib", unpacked.join("lib")).context("cannot link lib to usr/lib")?;
    }
    quietly(program("depmod").arg("--basedir").arg(&unpacked).arg(&release))?;
    let initramfs = initramfs(&unpacked, &release, folder)?;
    Ok(Boot { kernel, initramfs })
}

fn initramfs(unpacked: &Path, release: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("initramfs");
    copy(Path::new(system::BUSYBOX), &root.join("bin/busybox"))?;
    let [init] = FILES;
    write(&root.join("init"), init)?;
    quietly(program("chmod").arg("0755").arg(root.join("init")))?;
    let mut order: Vec<String> = Vec::new();
    for module in modules(unpacked, release)? {
        let name = unpack(&module, &root.join("modules"))?;
        order.push(name);
    }
    write(&root.join("modules/order"), order.join("\n") + "\n")?;
    let file = folder.join("initrd");
    let pack = "find . | LC_ALL=C sort | cpio --quiet --create --format newc --owner 0:0 | gzip -9 >\"$1\"";
    quietly(program("sh").current_dir(&root).args(["-euc", pack, "sh"]).arg(&file))?;
    Ok(file)
}

/// The files of the modules and of those that they need, in the order in which they can be loaded.
fn modules(unpacked: &Path, release: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let mut modprobe = program("modprobe");
        modprobe.arg("--dirname").arg(unpacked).args(["--set-version", release, "--show-depends", module]);
        let Some(needs) = answer(&mut modprobe) else { bail!("the kernel has no module {module}") };
        // What is built into the kernel is a line `builtin NAME`.
        let files = needs.lines().filter_map(|line| line.strip_prefix("insmod ")).map(str::trim);
        for file in files.map(PathBuf::from) {
            if !found.contains(&file) {
                found.push(file);
            }
        }
    }
    Ok(found)
}

/// Copies a module into `folder`, uncompressed, for busybox can load no other; returns its name there.
fn unpack(module: &Path, folder: &Path) -> anyhow::Result<String> {
    let file = name(module);
    let (name, unpacker) = match (file.strip_suffix(".xz"), file.strip_suffix(".zst")) {
        (Some(name), _) => (name, Some("xz")),
        (_, Some(name)) => (name, Some("zstd")),
        (None, None) => (file, None),
    };
    let to = folder.join(name);
    match unpacker {
        None => copy(module, &to)?,
        Some(unpacker) => {
            let output = program(unpacker).args(["--decompress", "--stdout"]).arg(module).output();
            let output = output.with_context(|| format!("cannot run {unpacker}"))?;
            ensure!(output.status.success(), "{unpacker} cannot unpack {}", module.display());
            write(&to, output.stdout)?;
        }
    }
    Ok(name.to_owned())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
