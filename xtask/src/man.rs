//! `cargo xtask man`: the client's man pages, written by a client that is built to do that.

use std::path::PathBuf;

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
/// The client cannot be built, or the directory not written.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let directory = workspace.root().join(&options.directory);
    let client = ["run", "--quiet", "--package", "cli", "--features", "man", "--", "man"];
    run_command(cargo(workspace, client).arg(&directory))?;
    println!("{}", directory.display());
    Ok(())
}
