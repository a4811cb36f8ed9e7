//! `cargo xtask guest-image`: a small virtual machine image that boots in seconds, for the tests of what starts
//! virtual machines.
//!
//! It is made of the distribution's packages: its kernel for virtual machines, busybox, dropbear. It does a
//! small part of what cloud-init does, enough to be reached. It is no image for users, and never shipped.

mod disk;
mod kernel;
mod system;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::packages;
use crate::workspace::Workspace;

/// What the image is made of and with, beside the kernel.
const PACKAGES: [&str; 13] = [
    "busybox-static",
    "cpio",
    "dosfstools",
    "dropbear-bin",
    "e2fsprogs",
    "fdisk",
    "kmod",
    "mtools",
    "openssh-sftp-server",
    "syslinux",
    "syslinux-common",
    "xz-utils",
    "zstd",
];

/// The recipe: who changes it gets another image.
const RECIPE: [&str; 4] = [
    include_str!("guest_image.rs"),
    include_str!("guest_image/disk.rs"),
    include_str!("guest_image/kernel.rs"),
    include_str!("guest_image/system.rs"),
];

/// Installs what is missing, builds the image where it is not there as it should be, and prints where it is.
///
/// # Errors
/// Something is missing here, or a program failed.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    install_packages()?;
    println!("{}", build(workspace)?.display());
    Ok(())
}

/// Installs the packages that are missing.
///
/// # Errors
/// They may not be installed here, or cannot be.
pub(crate) fn install_packages() -> anyhow::Result<()> {
    let missing = PACKAGES.into_iter().filter(|package| packages::installed(package).is_none());
    packages::install(&missing.map(str::to_owned).collect::<Vec<_>>())
}

/// The image's path; the image is built unless it is there and made of what is on this machine now.
///
/// # Errors
/// Something is missing here, or a program failed.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    ensure!(cfg!(target_arch = "x86_64"), "the guest image is made for x86-64 alone");
    let folder = workspace.target("guest-image");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("cannot make the lock of the guest image")?;
    lock.lock().context("cannot wait for who else builds the guest image")?;

    let kernel = kernel::find()?;
    let wanted = ingredients(&kernel)?;
    let image = folder.join("guest.qcow2");
    let stamp = folder.join("guest.stamp");
    if image.exists() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(image);
    }
    eprintln!("building {} with {}", image.display(), kernel.join(" and "));
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(&folder)?;
    let system = system::build(&work.path().join("system"))?;
    let boot = kernel::build(&kernel, &work.path().join("kernel"))?;
    let made = disk::build(&boot, &system, work.path())?;
    // The stamp goes before the image it is about: whatever breaks off, no image stands with another's stamp.
    let _ = fs::remove_file(&stamp);
    fs::rename(made, &image).context("cannot move the image to its place")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(image)
}

/// The packages by version and the recipe by hash: what the image follows from.
fn ingredients(kernel: &[String]) -> anyhow::Result<String> {
    let mut ingredients = String::new();
    for package in PACKAGES {
        let version = packages::installed(package)
            .with_context(|| format!("the package {package} is missing: cargo xtask guest-image"))?;
        writeln!(ingredients, "{package} {version}")?;
    }
    for package in kernel {
        writeln!(ingredients, "{package} {}", packages::candidate(package).unwrap_or_default())?;
    }
    let mut recipe = Sha256::new();
    for part in RECIPE.iter().chain(&system::FILES.map(|file| file.content)).chain(&kernel::FILES) {
        recipe.update(part.len().to_le_bytes());
        recipe.update(part);
    }
    let recipe = recipe.finalize();
    writeln!(ingredients, "recipe {}", recipe.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    Ok(ingredients)
}

/// A program of the distribution, found also where only root looks for it.
fn program(name: &str) -> Command {
    let administrators = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    Command::new(administrators.iter().find(|path| path.exists()).map_or(Path::new(name), PathBuf::as_path))
}

/// Runs a program that has nothing to tell but why it failed.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed with {}: {}", output.status, said.trim());
    Ok(())
}

/// Writes a file, and the folders above it.
fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a file with its mode, and makes the folders above the copy. Links are followed.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
