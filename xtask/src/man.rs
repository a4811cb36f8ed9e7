//! `cargo xtask man`: the man pages of both programs, written by builds of these that can do that.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;

/// Where to write them.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory; it is made if need be.
    #[arg(default_value = "target/man")]
    directory: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// A program cannot be built, or the directory not written.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let directory = workspace.root().join(&options.directory);
    write(workspace, &directory)?;
    println!("{}", directory.display());
    Ok(())
}

/// Writes the pages into that directory.
///
/// # Errors
/// A program cannot be built, or the directory not written.
pub(crate) fn write(workspace: &Workspace, directory: &Path) -> anyhow::Result<()> {
    for package in ["cli", "daemon"] {
        // With all features, as the tests' programs are, which are in the same place.
        let program = ["run", "--quiet", "--all-features", "--package", package, "--", "man"];
        run_command(cargo(workspace, program).arg(directory))?;
    }
    Ok(())
}
