//! The command lines of the commands about this client and its service as a whole.

#[cfg(feature = "man")]
use std::path::PathBuf;

use clap::Args;

use super::FormatArg;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "shell", help = "Your shell: bash, zsh, fish, elvish or powershell")]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[cfg(feature = "man")]
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Where to.
    #[arg(value_name = "directory", help = "Where to write them")]
    pub(crate) directory: PathBuf,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `help`.
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// Which command.
    #[arg(value_name = "command", help = "Name of the command to display help for")]
    pub(crate) command: Option<String>,
    /// Which one below it.
    #[arg(hide = true)]
    pub(crate) below: Option<String>,
}

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `wait-ready`.
#[derive(Debug, Args)]
pub(crate) struct WaitReadyArgs {
    /// When to give up.
    #[arg(
        long,
        value_name = "seconds",
        help = "Maximum time to wait, in seconds. Without it the wait has no end."
    )]
    pub(crate) timeout: Option<u32>,
}
