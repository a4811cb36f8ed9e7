//! `cargo xtask dist`: a Debian package of both programs, and with `--test` its whole life on a clean Debian.
//!
//! It is made by dpkg's own programs from a directory that looks as the installed system will; the files that are
//! written by hand are in `xtask/debian`. No debhelper: the package is made on any machine that has dpkg.

mod life;
mod machine;
mod package;
mod release;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;
use crate::{guest_image, packages};

use self::package::Contents;
use self::release::Release;

/// What the package is made and looked through with.
const PACKAGES: [&str; 2] = ["dpkg-dev", "lintian"];

/// What to do with the package.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Install, use, upgrade, remove and purge it on a clean Debian, which is started in a container. Needs root
    #[arg(long)]
    pub(crate) test: bool,
}

/// Makes the package, has lintian look at it, and prints where it is.
///
/// # Errors
/// Something is missing here, a program failed, or lintian has found an error.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::install(&packages::missing(&PACKAGES))?;
    let contents = gather(workspace)?;
    let release = Release::of(workspace, 1)?;
    let package = package::build(workspace, &contents, &release)?;
    lint(&package)?;
    if options.test {
        test(workspace, &contents, &release, &package)?;
    }
    println!("{}", package.display());
    Ok(())
}

/// The package through its whole life.
fn test(workspace: &Workspace, contents: &Contents, release: &Release, package: &Path) -> anyhow::Result<()> {
    packages::install(&packages::missing(&machine::PACKAGES))?;
    let made = std::fs::read(package)?;
    package::build(workspace, contents, release)?;
    ensure!(made == std::fs::read(package)?, "made twice, the package is not the same");
    let newer = package::build(workspace, contents, &Release::of(workspace, 2)?)?;
    let image = guest_image::build(workspace)?;
    let outcome = life::run(package, &newer, &image);
    std::fs::remove_file(&newer).with_context(|| format!("cannot remove {}", newer.display()))?;
    outcome
}

/// Builds both programs, each by itself: together, the client would link what only the daemon needs. The pages and
/// completions are written by them.
fn gather(workspace: &Workspace) -> anyhow::Result<Contents> {
    for package in ["daemon", "cli"] {
        let build = ["build", "--release", "--features", "quic", "--package", package];
        run_command(&mut cargo(workspace, build))?;
    }
    let folder = workspace.target("dist");
    let man = folder.join("man");
    // Pages of commands that are no more.
    let _ = std::fs::remove_dir_all(&man);
    crate::man::write(workspace, &man)?;
    Ok(Contents { programs: workspace.target("release"), man })
}

/// Fails where lintian has found an error; warnings are shown.
fn lint(package: &Path) -> anyhow::Result<()> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error", "--tag-display-limit", "0"]);
    run_command(lintian.arg(package))
}

/// Where packages are put.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target("dist")
}
