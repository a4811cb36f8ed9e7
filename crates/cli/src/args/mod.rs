//! The command line: what can be written, how it is read, and what is wrong with what was written.
//!
//! Help is rendered by [`help`] from these definitions. Nothing is done here: of the folders below it knows the names
//! of remotes, the bounds of tokens, and how text is filled.

mod clients;
mod commands;
mod format;
mod general;
pub(crate) mod help;
mod instances;
#[cfg(feature = "man")]
pub(crate) mod man;
mod parse;
mod remotes;
mod settings;
mod token;

use std::path::PathBuf;

use clap::{ArgAction, Args};
use transport::tls::RootFingerprint;

use crate::connection::{RemoteName, ServiceOptions};
pub(crate) use clients::{
    AddClientArgs, ClientsArgs, ClientsCommand, DeauthenticateArgs, Level, OwnCertificateArgs,
    RenameClientArgs, RevokeClientArgs, SetLevelArgs, client_name,
};
pub(crate) use commands::Command;
pub(crate) use format::{Format, FormatArg, ListFormatArg};
#[cfg(feature = "man")]
pub(crate) use general::ManArgs;
pub(crate) use general::{CompletionsArgs, DoctorArgs, HelpArgs, VersionArgs, WaitReadyArgs};
pub(crate) use instances::{
    DeleteArgs, ExecArgs, FindArgs, InfoArgs, InstancesArg, LaunchArgs, ListArgs, NetworksArgs, RecoverArgs,
    ShellArgs, StartArgs, StopArgs, SuspendArgs, TransferArgs,
};
pub(crate) use parse::{Parsed, definition, is_called, parse, unknown};
pub(crate) use remotes::{AddRemoteArgs, RemoteArgs, RemoteCommand};
pub(crate) use settings::{AuthenticateArgs, GetArgs, SetArgs};
pub(crate) use token::{CreateTokenArgs, RevokeTokenArgs, TokenArgs, TokenCommand};

/// What a command line says.
#[derive(Debug, Args)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// In which way.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// The options of `multipass`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Ends the parsing; clap answers with the command's help.
    #[arg(
        short, long, global = true, action = ArgAction::Help,
        help = "Displays help on commandline options"
    )]
    pub(crate) help: Option<bool>,

    /// How often `-v` was given.
    #[arg(
        short, long, global = true, action = ArgAction::Count,
        help = "Increase logging verbosity. Repeat the 'v' in the short option for more detail. Maximum \
                verbosity is obtained with 4 (or more) v's, i.e. -vvvv."
    )]
    pub(crate) verbose: u8,

    /// The service, by its remote's name.
    #[arg(
        long,
        global = true,
        value_name = "name",
        help = "The remote that the command is for, of those that `multipass remote list` shows. The environment \
                variable MULTIPASS_REMOTE does the same for all commands."
    )]
    pub(crate) remote: Option<RemoteName>,

    /// The root certificate of a service that is not the system's.
    #[arg(
        long,
        global = true,
        value_name = "file",
        help = "Root certificate of the service, for one that is not the system's. The environment \
                variable MULTIPASS_ROOT_CERT does the same; MULTIPASS_SERVER_ADDRESS tells where such a \
                service listens, as unix:/path or host:port."
    )]
    pub(crate) root_cert: Option<PathBuf>,

    /// The fingerprint of the root of a service that is not the system's.
    #[arg(
        long,
        global = true,
        value_name = "digits",
        conflicts_with = "root_cert",
        help = "Fingerprint of the service's root, for a service on another machine, where `multipassd \
                fingerprint` prints it. It is remembered for the address; MULTIPASS_FINGERPRINT does the same \
                for as long as it is set."
    )]
    pub(crate) fingerprint: Option<RootFingerprint>,

    /// Only print the client's version.
    #[arg(long, action = ArgAction::SetTrue, help = "Displays the version of this client")]
    pub(crate) version: bool,
}

impl Options {
    /// What they say of the service.
    pub(crate) fn service(&self) -> ServiceOptions {
        ServiceOptions {
            remote: self.remote.clone(),
            root_certificate: self.root_cert.clone(),
            fingerprint: self.fingerprint,
            verbosity: self.verbose,
        }
    }
}

#[cfg(test)]
mod tests;
