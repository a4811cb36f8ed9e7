//! The command line of `remote`.

use clap::{Args, Subcommand};
use transport::Endpoint;

use super::{FormatArg, ListFormatArg};
use crate::connection::RemoteName;

/// What the help of `remote` says.
pub(super) const ABOUT: &str = "\
Give services names, and choose which of them commands are for. Without a choice
that is 'local', this machine's own service.

  multipass remote add work server.example:50051
  multipass --remote work list       runs one command there
  multipass remote default work      runs all commands there from now on
  multipass remote default local     and here again

See also `multipass remote <command> --help`.";

/// Arguments of `remote`.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// What to do; without it, list them.
    #[command(subcommand)]
    pub(crate) action: Option<RemoteCommand>,
    /// The form of the list.
    #[command(flatten)]
    pub(crate) list: ListFormatArg,
}

/// The commands below `remote`. By their whole names it is known which help somebody asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// `remote list`.
    #[command(
        override_help = "remote list",
        about = "List all remotes",
        long_about = "List all remotes, 'local' and then the oldest first."
    )]
    List(ListFormatArg),
    /// `remote show`.
    #[command(
        override_help = "remote show",
        about = "Show what is known of a remote",
        long_about = "\
Show what is known of a remote: its address, the fingerprint of its root, and
whether commands are for it.

  multipass remote show work"
    )]
    Show(ShowRemoteArgs),
    /// `remote add`.
    #[command(
        override_help = "remote add",
        about = "Give a service a name",
        long_about = "\
Give the service at an address a name. The service is reached, and proves itself
by the fingerprint of its root, which is kept with the name. Say what that is,
as `sudo multipassd fingerprint` prints it on the service's machine, with
--fingerprint; or you are shown it, and asked. On this machine the system's root
certificate counts, unless a fingerprint is named.

  multipass remote add work server.example:50051
  multipass remote add work server.example:50051 --fingerprint 9a3827ca...
  multipass remote add lab quic:lab.example:50051
  multipass remote add work --token mpt1_...
  multipass remote add --replace work new.example:50051"
    )]
    Add(AddRemoteArgs),
    /// `remote remove`.
    #[command(
        override_help = "remote remove",
        about = "Forget a remote",
        long_about = "\
Forget a remote. If it was the default, that is 'local' again.

  multipass remote remove work"
    )]
    Remove(RemoveRemoteArgs),
    /// `remote default`.
    #[command(
        override_help = "remote default",
        about = "Show or choose the default remote",
        long_about = "\
Show the default remote, or choose it: the one that commands are for unless
--remote, MULTIPASS_REMOTE or MULTIPASS_SERVER_ADDRESS says otherwise.

  multipass remote default
  multipass remote default work
  multipass remote default local"
    )]
    Default(DefaultRemoteArgs),
}

/// Arguments of `remote show`.
#[derive(Debug, Args)]
pub(crate) struct ShowRemoteArgs {
    /// Which remote.
    #[arg(value_name = "name", help = "The remote's name; the one that commands are for if omitted")]
    pub(crate) name: Option<RemoteName>,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `remote add`.
#[derive(Args)]
pub(crate) struct AddRemoteArgs {
    /// What to call it.
    #[arg(
        value_name = "name",
        help = "What to call the remote: a letter, then up to 63 letters, digits, '.', '_' and '-'"
    )]
    pub(crate) name: RemoteName,
    /// Where it is.
    #[arg(
        value_name = "address",
        required_unless_present = "token",
        help = "Where the service listens: host:port, quic:host:port or unix:/path. A token tells where its service \
                does."
    )]
    pub(crate) address: Option<Endpoint>,
    /// What lets this client in there, and tells what it has to be.
    #[arg(
        long,
        value_name = "token",
        conflicts_with_all = ["fingerprint", "root_cert"],
        help = "Use a token that `multipass token create` has made there: the service has to be the one that made \
                it, and trusts this client from then on. - asks for it."
    )]
    pub(crate) token: Option<String>,
    /// Whether there may be one of that name already.
    #[arg(long, help = "Change the remote of that name, if there is one.")]
    pub(crate) replace: bool,
}

// The token is never shown, whatever is logged.
impl std::fmt::Debug for AddRemoteArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AddRemoteArgs({}, [redacted])", self.name)
    }
}

/// Arguments of `remote remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveRemoteArgs {
    /// Which remote.
    #[arg(value_name = "name", help = "The remote's name")]
    pub(crate) name: RemoteName,
}

/// Arguments of `remote default`.
#[derive(Debug, Args)]
pub(crate) struct DefaultRemoteArgs {
    /// Which remote.
    #[arg(value_name = "name", help = "The remote's name; the default's is printed if omitted")]
    pub(crate) name: Option<RemoteName>,
}
