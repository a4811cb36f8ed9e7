//! The command lines of the commands about instances.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, value_parser};

use super::FormatArg;

/// What the help of `launch` says.
pub(super) const LAUNCH: &str = "\
Create and start a new instance.

  multipass launch ./disk.img --name dev
  multipass launch https://example.com/cloud.img --cpus 2 --memory 4G
  multipass launch --cloud-init - file:///srv/image.qcow2 < user-data.yaml";

/// What the help of `exec` says.
pub(super) const EXEC: &str = "\
Run a command on an instance. It has a terminal if this command has one, and its
exit code is this command's.

  multipass exec dev -- ls -l /
  tar -c . | multipass exec dev --working-directory /srv -- tar -x";

const TIMEOUT: &str = "Maximum time, in seconds, to wait for the command to complete. Note that some \
                       background operations may continue beyond that. By default, the service decides.";

/// Instances, the primary one if none are named.
#[derive(Debug, Args)]
pub(crate) struct InstancesArg {
    /// Which ones.
    #[arg(
        id = "name",
        value_name = "name",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Names of the instances. If omitted, and without --all, the one that client.primary-name names"
    )]
    pub(crate) names: Vec<String>,
    /// Every one.
    #[arg(long, conflicts_with = "name", help = "All instances")]
    pub(crate) all: bool,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Which ones.
    #[arg(
        id = "name",
        value_name = "instance[.snapshot]",
        value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "all",
        help = "Names of instances and snapshots to delete"
    )]
    pub(crate) names: Vec<String>,
    /// Every one.
    #[arg(long, conflicts_with = "name", help = "Delete all instances and snapshots")]
    pub(crate) all: bool,
    /// For good.
    #[arg(
        short,
        long,
        help = "Permanently delete specified instances and snapshots immediately, so that they cannot be recovered"
    )]
    pub(crate) purge: bool,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Which one.
    #[arg(
        id = "name",
        value_name = "name",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Name of the instance to execute the command on"
    )]
    pub(crate) instance: String,
    /// Where the command begins.
    #[arg(short = 'd', long, value_name = "dir", help = "Change to <dir> before execution")]
    pub(crate) working_directory: Option<OsString>,
    /// Of the stock client's: without mounts, nothing is mapped.
    #[arg(short, long, help = "Accepted as the stock client's; there are no mounts, so nothing is mapped")]
    pub(crate) no_map_working_directory: bool,
    /// What to run.
    #[arg(
        value_name = "command",
        required = true,
        trailing_var_arg = true,
        help = "Command to execute on the instance, with its arguments. A -- before it is needed if it begins with \
                a hyphen."
    )]
    pub(crate) command: Vec<OsString>,
}

/// Arguments of `find`.
#[derive(Debug, Args)]
pub(crate) struct FindArgs {
    /// What to look for.
    #[arg(
        id = "string",
        value_name = "[remote:]string",
        help = "An optional value to search for: an image's alias, version or hash, and the remote to search in"
    )]
    pub(crate) search: Option<String>,
    /// Also old ones.
    #[arg(long, help = "Show unsupported cloud images as well")]
    pub(crate) show_unsupported: bool,
    /// Not from what is cached.
    #[arg(long, help = "Force the image information to update from the network")]
    pub(crate) force_update: bool,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// What to describe.
    #[arg(
        id = "name",
        value_name = "instance[.snapshot]",
        help = "Names of instances or snapshots to display information about; all instances if omitted"
    )]
    pub(crate) names: Vec<String>,
    /// Snapshots rather than instances.
    #[arg(long, help = "Display detailed information about the snapshots of the instances")]
    pub(crate) snapshots: bool,
    /// Leave out what only a running instance can tell.
    #[arg(
        long,
        help = "Retrieve from the instances only the information obtained without running commands on them"
    )]
    pub(crate) no_runtime_information: bool,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `launch`.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// What to launch.
    #[arg(
        value_name = "[remote:]image | path | url",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Image to launch: a file of this machine, a URL with file://, http:// or https://, or an image's \
                name, version or hash, after the name of its remote if need be. `multipass find` lists the last. \
                If omitted, the service's default image, where it has one."
    )]
    pub(crate) image: Option<String>,
    /// What it is to be called.
    #[arg(
        short,
        long,
        value_name = "name",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Name for the instance: letters, digits and hyphens. If omitted, the service generates one."
    )]
    pub(crate) name: Option<String>,
    /// Its processors.
    #[arg(
        short,
        long,
        value_name = "cpus",
        value_parser = value_parser!(i32).range(1..),
        help = "Number of CPUs to allocate. Minimum: 1, default: 1."
    )]
    pub(crate) cpus: Option<i32>,
    /// Its memory.
    #[arg(
        short,
        long,
        alias = "mem",
        value_name = "memory",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Amount of memory to allocate. Positive integers, in bytes, or decimals, with K, M, G suffix. \
                Minimum: 128M, default: 1G."
    )]
    pub(crate) memory: Option<String>,
    /// Its disk.
    #[arg(
        short,
        long,
        value_name = "disk",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Disk space to allocate. Positive integers, in bytes, or decimals, with K, M, G suffix. Minimum: \
                512M, default: 5G."
    )]
    pub(crate) disk: Option<String>,
    /// What is to be done when it first starts.
    #[arg(
        long,
        value_name = "file",
        help = "Path or URL to a user-data cloud-init configuration, or - for standard input"
    )]
    pub(crate) cloud_init: Option<PathBuf>,
    /// When to give up.
    #[arg(long, value_name = "seconds", value_parser = value_parser!(i32).range(1..), help = TIMEOUT)]
    pub(crate) timeout: Option<i32>,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Snapshots rather than instances.
    #[arg(long, help = "List all available snapshots")]
    pub(crate) snapshots: bool,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `networks`.
#[derive(Debug, Args)]
pub(crate) struct NetworksArgs {
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Which ones.
    #[arg(
        id = "name",
        value_name = "name",
        value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "all",
        help = "Names of the deleted instances to recover"
    )]
    pub(crate) names: Vec<String>,
    /// Every one.
    #[arg(long, conflicts_with = "name", help = "Recover all deleted instances")]
    pub(crate) all: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Which one.
    #[arg(
        id = "name",
        value_name = "name",
        value_parser = NonEmptyStringValueParser::new(),
        help = "Name of the instance to open a shell on. If omitted, the one that client.primary-name names"
    )]
    pub(crate) instance: Option<String>,
}

/// Arguments of `start` and `restart`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) instances: InstancesArg,
    /// When to give up.
    #[arg(long, value_name = "seconds", value_parser = value_parser!(i32).range(1..), help = TIMEOUT)]
    pub(crate) timeout: Option<i32>,
}

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) instances: InstancesArg,
    /// How long to wait before.
    #[arg(
        short,
        long,
        value_name = "minutes",
        value_parser = value_parser!(i32).range(0..),
        allow_negative_numbers = true,
        help = "Time from now, in minutes, to delay shutdown of the instance"
    )]
    pub(crate) time: Option<i32>,
    /// Not at all.
    #[arg(short, long, conflicts_with = "time", help = "Cancel a pending delayed shutdown")]
    pub(crate) cancel: bool,
    /// At once.
    #[arg(
        long,
        conflicts_with_all = ["time", "cancel"],
        help = "Force the instance to shut down immediately, as if its power were cut. Warning: this can leave \
                its disk damaged, so use it only when the instance does not stop otherwise."
    )]
    pub(crate) force: bool,
}

/// Arguments of `suspend`.
#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) instances: InstancesArg,
}

/// What the help of `transfer` says.
pub(super) const TRANSFER: &str = "\
Copy files and directories between this machine and an instance, as cp does.

  multipass transfer notes.txt dev:
  multipass transfer --recursive dev:/var/log/nginx .
  tar c site | multipass transfer - dev:site.tar";

/// Arguments of `transfer`.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// With all that is in them.
    #[arg(short, long, help = "Recursively copy entire directories")]
    pub(crate) recursive: bool,
    /// What is missing on the way.
    #[arg(short, long, help = "Make parent directories as needed")]
    pub(crate) parents: bool,
    /// What to copy.
    #[arg(
        id = "source",
        value_name = "source",
        required = true,
        num_args = 1..,
        help = "Paths to copy: of this machine, or with <instance>: before them of an instance, where they are \
                relative to its user's home; or - for standard input"
    )]
    pub(crate) sources: Vec<OsString>,
    /// Where to.
    #[arg(
        value_name = "destination",
        required = true,
        help = "The path to copy to, with <instance>: before it for one in an instance; or - for standard output. \
                Several sources, and one source if there is such a directory, are copied into it."
    )]
    pub(crate) destination: OsString,
}
