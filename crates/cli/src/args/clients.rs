//! The command line of `clients`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::{FormatArg, ListFormatArg};

/// What the help of `clients` says.
pub(super) const ABOUT: &str = "\
List, add, limit and revoke the clients that may use the service. Clients of the
level 'full', and root on the service's machine, may do so.

  multipass clients                            lists them
  sudo multipass clients add --user alice      trusts alice's client
  multipass clients set-level alice read-only  lets her look and change nothing
  multipass clients revoke alice               keeps her out from now on

See also `multipass clients <command> --help`.";

const CLIENT: &str =
    "The client's name, or the beginning of it; or at least 6 digits from the beginning of its fingerprint";

/// Arguments of `clients`.
#[derive(Debug, Args)]
pub(crate) struct ClientsArgs {
    /// What to do; without it, list them.
    #[command(subcommand)]
    pub(crate) action: Option<ClientsCommand>,
    /// The form of the list.
    #[command(flatten)]
    pub(crate) list: ListFormatArg,
}

/// The commands below `clients`. By their whole names it is known which help somebody asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// `clients list`.
    #[command(
        override_help = "clients list",
        about = "List all trusted clients",
        long_about = "List all trusted clients, the oldest first."
    )]
    List(ListFormatArg),
    /// `clients show`.
    #[command(
        override_help = "clients show",
        about = "Show what is known of a client",
        long_about = "\
Show what is known of a client: who it is, how it was enrolled, what it may do,
and when it last had a connection.

  multipass clients show alice"
    )]
    Show(ShowClientArgs),
    /// `clients add`.
    #[command(
        override_help = "clients add",
        about = "Trust a client",
        long_about = "\
Trust a client, also one that was revoked.

  sudo multipass clients add --user alice
  multipass clients add --cert client.pem --name build-server
  multipass clients add --cert client.pem --name monitor --read-only
  ssh host cat client.pem | multipass clients add --cert - --name host",
        group = ArgGroup::new("who").required(true).args(["own", "cert", "user"])
    )]
    Add(AddClientArgs),
    /// `clients rename`.
    #[command(
        override_help = "clients rename",
        about = "Rename a client",
        long_about = "\
Rename a client.

  multipass clients rename 0f3a5c alice"
    )]
    Rename(RenameClientArgs),
    /// `clients set-level`.
    #[command(
        override_help = "clients set-level",
        about = "Change what a client may do",
        long_about = "\
Change what a client may do. A client of the level 'full' may do everything, and
say who else may. One of the level 'read-only' may see what there is (version,
list, info, find, get and networks) and change nothing; who knows the passphrase
makes it full.

  multipass clients set-level alice read-only"
    )]
    SetLevel(SetLevelArgs),
    /// `clients revoke`.
    #[command(
        override_help = "clients revoke",
        about = "Revoke a client",
        long_about = "\
Revoke a client, and end the calls that it is making. It stays out until
it is added, or authenticates with the passphrase, again.

  multipass clients revoke alice
  multipass clients revoke 0f3a5c"
    )]
    Revoke(RevokeClientArgs),
    /// `clients own-certificate`: how `clients add --user`, and `multipassd enroll-installer`, act as another
    /// user.
    #[command(
        override_help = "clients own-certificate",
        hide = true,
        about = "Print the client certificate, made if there is none"
    )]
    OwnCertificate(OwnCertificateArgs),
}

/// Arguments of `clients show`.
#[derive(Debug, Args)]
pub(crate) struct ShowClientArgs {
    /// Which client.
    #[arg(value_name = "client", help = CLIENT)]
    pub(crate) client: String,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `clients rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameClientArgs {
    /// Which client.
    #[arg(value_name = "client", help = CLIENT)]
    pub(crate) client: String,
    /// What to call it.
    #[arg(
        value_name = "name",
        value_parser = client_name,
        help = "The new name: up to 64 letters, digits, '.', '_' and '-'"
    )]
    pub(crate) name: String,
}

/// Arguments of `clients set-level`.
#[derive(Debug, Args)]
pub(crate) struct SetLevelArgs {
    /// Which client.
    #[arg(value_name = "client", help = CLIENT)]
    pub(crate) client: String,
    /// What it may do.
    #[arg(value_enum, value_name = "level", help = "What it may do: full (everything) or read-only")]
    pub(crate) level: Level,
    /// Whether the caller is sure, even if it is his own.
    #[arg(long, help = "Do not ask, also when it is the client that runs this command.")]
    pub(crate) yes: bool,
}

/// How much a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Everything.
    Full,
    /// See what there is.
    ReadOnly,
}

impl Level {
    /// As the service calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Arguments of `clients add`.
#[derive(Debug, Args)]
pub(crate) struct AddClientArgs {
    /// This user's own client.
    #[arg(long = "self", help = "The client of the user who runs this command.")]
    pub(crate) own: bool,
    /// The file with the client's certificate.
    #[arg(
        long,
        value_name = "file",
        help = "The client with the certificate in this file, in PEM; - for standard input."
    )]
    pub(crate) cert: Option<PathBuf>,
    /// Whose client.
    #[arg(
        long,
        value_name = "name",
        help = "The client of another user of this machine. Needs root; the user's files are only touched with \
                the user's own rights."
    )]
    pub(crate) user: Option<String>,
    /// What to call it.
    #[arg(
        long,
        value_name = "name",
        value_parser = client_name,
        help = "What to call the client: up to 64 letters, digits, '.', '_' and '-'. With --user, the user's \
                name is the default."
    )]
    pub(crate) name: Option<String>,
    /// Whether it may only read.
    #[arg(long, help = "Let the client see what there is, and change nothing.")]
    pub(crate) read_only: bool,
}

/// Arguments of `clients revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeClientArgs {
    /// Which client.
    #[arg(value_name = "client", help = CLIENT)]
    pub(crate) client: String,
    /// Whether the caller is sure, even if it is his own.
    #[arg(long, help = "Do not ask, also when it is the client that runs this command.")]
    pub(crate) yes: bool,
}

/// Arguments of `deauthenticate`.
#[derive(Debug, Args)]
pub(crate) struct DeauthenticateArgs {
    /// Whether the caller is sure.
    #[arg(long, help = "Do not ask.")]
    pub(crate) yes: bool,
}

/// Arguments of `clients own-certificate`.
#[derive(Debug, Args)]
pub(crate) struct OwnCertificateArgs {
    /// The user to go on as.
    #[arg(long, value_name = "name")]
    pub(crate) as_user: Option<String>,
    /// Whether to print nothing where there is none.
    #[arg(long)]
    pub(crate) existing: bool,
}

/// The longest name of a client, in characters: the service's own bound.
const MAX_NAME_LENGTH: usize = 64;

/// What the service takes for a client's name.
pub(crate) fn client_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match fits {
        true => Ok(text.to_owned()),
        false => Err(format!("a client's name has 1 to {MAX_NAME_LENGTH} letters, digits, '.', '_' and '-'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_a_short_plain_word() {
        for text in ["a", "alice", "Alice.B_c-9", &"x".repeat(64)] {
            assert_eq!(client_name(text), Ok(text.to_owned()));
        }
        for text in ["", " ", "a b", "a=b", "a\n", "\u{e4}", "a/b", "DOM\\alice", &"x".repeat(65)] {
            assert!(client_name(text).is_err_and(|told| told.contains("1 to 64 letters")), "{text:?}");
        }
    }
}
