//! `cargo xtask guest-image`: a small virtual machine image that boots in seconds, for the tests of what starts
//! virtual machines.
//!
//! It is made of the distribution's packages: its kernel for virtual machines, busybox, dropbear. It does a
//! small part of what cloud-init does, enough to be reached. It is no image for users, and never shipped. Nor is
//! the one of `--debian`, which is a real Debian, and boots in a minute.

mod debian;
mod disk;
mod kernel;
mod system;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
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

const SYSLINUX_CFG: &str = include_str!("../../guest/syslinux.cfg");

/// Which image to build.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Build a real Debian with cloud-init instead, which takes minutes and needs root
    #[arg(long)]
    debian: bool,
}

/// The recipe: who changes it gets another image.
const RECIPE: [&str; 5] = [
    SYSLINUX_CFG,
    include_str!("mod.rs"),
    include_str!("disk.rs"),
    include_str!("kernel.rs"),
    include_str!("system.rs"),
];

/// Installs what is missing, builds the image where it is not there as it should be, and prints where it is.
///
/// # Errors
/// Something is missing here, or a program failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    install_packages()?;
    let image = if options.debian { build_debian(workspace)? } else { build(workspace)? };
    println!("{}", image.display());
    Ok(())
}

/// Installs the packages that are missing.
///
/// # Errors
/// They may not be installed here, or cannot be.
pub(crate) fn install_packages() -> anyhow::Result<()> {
    packages::install(&packages::missing(&PACKAGES))
}

/// The image's path; the image is built unless it is there and made of what is on this machine now.
///
/// # Errors
/// Something is missing here, or a program failed.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let kernel = kernel::find()?;
    let ingredients = ingredients(&kernel)?;
    unless_there(workspace, "guest", &ingredients, |work| {
        eprintln!("building the guest image with {}", kernel.join(" and "));
        let system = system::build(&work.join("system"))?;
        let boot = kernel::build(&kernel, &work.join("kernel"))?;
        // Room for the largest kernel that a distribution has, and for what the tests send to the guest.
        let content = disk::Content {
            boot: &boot,
            settings: SYSLINUX_CFG,
            system: &system,
            boot_room: 40,
            system_room: 96,
        };
        disk::build(&content, work)
    })
}

/// The path of the image of a real Debian; it is built unless it is there, made by the same recipe.
///
/// # Errors
/// Something is missing here, or a program failed.
pub(crate) fn build_debian(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    packages::install(&packages::missing(&debian::PACKAGES))?;
    unless_there(workspace, "debian", &recipe(&debian::RECIPE), debian::build)
}

/// The image of that name; it is made, in a folder that is then removed, unless it is there and made of that.
fn unless_there(
    workspace: &Workspace,
    name: &str,
    made_of: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<PathBuf> {
    ensure!(cfg!(target_arch = "x86_64"), "guest images are made for x86-64 alone");
    let folder = workspace.target("guest-image");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("cannot make the lock of the guest image")?;
    lock.lock().context("cannot wait for who else builds the guest image")?;

    let image = folder.join(format!("{name}.qcow2"));
    let stamp = folder.join(format!("{name}.stamp"));
    if image.exists() && fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == made_of) {
        return Ok(image);
    }
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(&folder)?;
    let made = make(work.path())?;
    // The stamp goes before the image it is about: whatever breaks off, no image stands with another's stamp.
    let _ = fs::remove_file(&stamp);
    fs::rename(made, &image).context("cannot move the image to its place")?;
    fs::write(&stamp, made_of).with_context(|| format!("cannot write {}", stamp.display()))?;
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
    let ours = system::FILES.map(|file| file.content);
    let parts: Vec<&str> = RECIPE.iter().chain(&ours).chain(&kernel::FILES).copied().collect();
    Ok(ingredients + &recipe(&parts))
}

/// A line for a stamp.
fn recipe(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("recipe {digits}\n")
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
