//! The commands, and what the help says of each.

use clap::Subcommand;

#[cfg(feature = "man")]
use super::ManArgs;
use super::{
    AuthenticateArgs, ClientsArgs, CompletionsArgs, DeauthenticateArgs, DeleteArgs, DoctorArgs, ExecArgs,
    FindArgs, GetArgs, HelpArgs, InfoArgs, LaunchArgs, ListArgs, NetworksArgs, RecoverArgs, RemoteArgs,
    SetArgs, ShellArgs, StartArgs, StopArgs, SuspendArgs, TokenArgs, TransferArgs, VersionArgs,
    WaitReadyArgs, clients, instances, remotes, token,
};

/// The commands. What can be written after each is defined when it is.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// `authenticate`.
    #[command(
        visible_alias = "auth",
        about = "Authenticate client",
        long_about = "Authenticate with the Multipass service.\n\
                      A system administrator should provide you with a passphrase\n\
                      to allow use of the Multipass service."
    )]
    Authenticate(AuthenticateArgs),
    /// `clients`.
    #[command(
        disable_help_subcommand = true,
        about = "List, add, limit and revoke the clients that may use the service",
        long_about = clients::ABOUT
    )]
    Clients(ClientsArgs),
    /// `completions`.
    #[command(
        visible_alias = "completion",
        about = "Print what a shell needs to complete commands",
        long_about = "Print a script with which a shell completes commands and options. It belongs\n\
                      where your shell looks for such:\n\n  \
                      source <(multipass completions bash)   # in ~/.bashrc\n  \
                      multipass completions zsh > ~/.zfunc/_multipass\n  \
                      multipass completions fish > ~/.config/fish/completions/multipass.fish"
    )]
    Completions(CompletionsArgs),
    /// `deauthenticate`.
    #[command(
        about = "Remove this client from the trusted clients",
        long_about = "Have the Multipass service no longer trust this client, whatever its level.\n\
                      To come back, authenticate again, or ask an administrator."
    )]
    Deauthenticate(DeauthenticateArgs),
    /// `delete`.
    #[command(
        about = "Delete instances and snapshots",
        long_about = "Delete instances and snapshots. `recover` brings instances back until they are\n\
                      purged; snapshots are gone."
    )]
    Delete(DeleteArgs),
    /// `doctor`.
    #[command(
        about = "Find out why the service cannot be used, and how to fix it",
        long_about = "Look at each thing that stands between you and the Multipass service, and say of\n\
                      each that it is in order, or what is wrong and which command fixes it. Nothing\n\
                      is changed. Succeeds if this client can use the service."
    )]
    Doctor(DoctorArgs),
    /// `exec`.
    #[command(about = "Run a command on an instance", long_about = instances::EXEC)]
    Exec(ExecArgs),
    /// `find`.
    #[command(
        about = "Display available images to create instances from",
        long_about = "List the images that instances can be launched from: those that match the\n\
                      search string, or all of them."
    )]
    Find(FindArgs),
    /// `get`.
    #[command(
        about = "Get a configuration setting",
        long_about = "Get the value of the configuration setting with the given key."
    )]
    Get(GetArgs),
    /// `help`.
    #[command(
        about = "Display help about a command",
        long_about = "Displays help for the given command, or a list of the commands."
    )]
    Help(HelpArgs),
    /// `info`.
    #[command(
        about = "Display information about instances",
        long_about = "Display information about instances, or about snapshots of them."
    )]
    Info(InfoArgs),
    /// `launch`.
    #[command(about = "Create and start an instance", long_about = instances::LAUNCH)]
    Launch(LaunchArgs),
    /// `list`.
    #[command(
        visible_alias = "ls",
        about = "List all available instances",
        long_about = "List all instances or snapshots which have been created."
    )]
    List(ListArgs),
    /// `man`: for `cargo xtask man`.
    #[cfg(feature = "man")]
    #[command(hide = true, about = "Write the man pages into a directory")]
    Man(ManArgs),
    /// `networks`.
    #[command(
        about = "List available network interfaces",
        long_about = "List the network interfaces of the service's machine that instances can be\njoined to."
    )]
    Networks(NetworksArgs),
    /// `purge`.
    #[command(
        about = "Purge all deleted instances permanently",
        long_about = "Purge all deleted instances permanently, so that they cannot be recovered."
    )]
    Purge,
    /// `recover`.
    #[command(
        about = "Recover deleted instances",
        long_about = "Recover deleted instances, so that they can be used again."
    )]
    Recover(RecoverArgs),
    /// `remote`.
    #[command(
        disable_help_subcommand = true,
        about = "Give services names, and choose among them",
        long_about = remotes::ABOUT
    )]
    Remote(RemoteArgs),
    /// `restart`.
    #[command(
        about = "Restart instances",
        long_about = "Restart the named instances. They have to be running."
    )]
    Restart(StartArgs),
    /// `set`.
    #[command(
        about = "Set a configuration setting",
        long_about = "Set a configuration setting. The value may contain '='. Without a value,\n\
                      local.passphrase is asked for; an empty value removes it."
    )]
    Set(SetArgs),
    /// `shell`.
    #[command(
        visible_aliases = ["sh", "connect"],
        about = "Open a shell on an instance",
        long_about = "Open a shell prompt on the instance, which is started if need be. The primary\n\
                      instance is created if it does not exist, from the service's default image, if\n\
                      it has one."
    )]
    Shell(ShellArgs),
    /// `start`.
    #[command(
        about = "Start instances",
        long_about = "Start the named instances. Those that were suspended resume."
    )]
    Start(StartArgs),
    /// `stop`.
    #[command(about = "Stop running instances", long_about = "Stop the named instances if they are running.")]
    Stop(StopArgs),
    /// `suspend`.
    #[command(
        about = "Suspend running instances",
        long_about = "Suspend the named instances if they are running.\n\
                      `start` resumes them."
    )]
    Suspend(SuspendArgs),
    /// `token`.
    #[command(
        disable_help_subcommand = true,
        about = "Let a client in by a token that can be used once",
        long_about = token::ABOUT
    )]
    Token(TokenArgs),
    /// `transfer`.
    #[command(
        visible_alias = "copy-files",
        about = "Transfer files between the host and instances",
        long_about = instances::TRANSFER
    )]
    Transfer(TransferArgs),
    /// `version`.
    #[command(
        about = "Show version details",
        long_about = "Display the version of this client, and that of the service if it answers and\n\
                      knows this client."
    )]
    Version(VersionArgs),
    /// `wait-ready`.
    #[command(
        about = "Wait for the Multipass service to be ready",
        long_about = "Wait until the Multipass service is ready to accept commands."
    )]
    WaitReady(WaitReadyArgs),
}
