//! The command line: what can be written, and what is wrong with what was written.
//!
//! Help is rendered by [`help`] from these definitions.

mod clients;
pub(crate) mod help;
mod instances;
#[cfg(feature = "man")]
pub(crate) mod man;
mod remotes;
mod token;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::{iter, mem};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, FromArgMatches, Subcommand, ValueEnum};
use transport::tls::RootFingerprint;

use crate::connection::{RemoteName, ServiceOptions};
use crate::error::Error;
pub(crate) use clients::{
    AddClientArgs, ClientsArgs, ClientsCommand, DeauthenticateArgs, Level, OwnCertificateArgs,
    RenameClientArgs, RevokeClientArgs, SetLevelArgs, client_name,
};
pub(crate) use instances::{
    DeleteArgs, ExecArgs, FindArgs, InstancesArg, LaunchArgs, NetworksArgs, RecoverArgs, ShellArgs,
    StartArgs, StopArgs, SuspendArgs, TransferArgs,
};
pub(crate) use remotes::{AddRemoteArgs, RemoteArgs, RemoteCommand};
pub(crate) use token::{CreateTokenArgs, RevokeTokenArgs, TokenArgs, TokenCommand, is_every_address};

const ABOUT: &str = "The client of the Multipass service: create, control and connect to virtual machines.";

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

/// Arguments of `authenticate`.
#[derive(Args)]
pub(crate) struct AuthenticateArgs {
    /// The passphrase, if it is on the command line.
    #[arg(
        value_name = "passphrase",
        help = "Passphrase to register with the Multipass service. If omitted, a prompt will be displayed \
                for entering the passphrase."
    )]
    pub(crate) passphrase: Option<String>,
    /// The file that holds the passphrase. Its help stands elsewhere: that of this command is the stock client's, to
    /// the letter.
    #[arg(
        long,
        value_name = "file",
        hide = true,
        conflicts_with = "passphrase",
        help = "File with the passphrase in its first line; - for standard input"
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Anything further is a mistake, which gets the stock client's message rather than clap's.
    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

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

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Which setting.
    #[arg(
        value_name = "key",
        required_unless_present = "keys",
        conflicts_with = "keys",
        help = "The setting, for example local.passphrase. `multipass get --keys` lists them all."
    )]
    pub(crate) key: Option<String>,
    /// An empty value as an empty line.
    #[arg(long, conflicts_with = "keys", help = "Output the value as it is: an empty one as an empty line.")]
    pub(crate) raw: bool,
    /// The names of all settings instead of one value.
    #[arg(long, help = "List available settings keys.")]
    pub(crate) keys: bool,
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

/// Arguments of `set`.
#[derive(Args)]
pub(crate) struct SetArgs {
    /// `key=value`, or `key` alone.
    #[arg(
        id = "key",
        value_name = "key[=value]",
        help = "A key, or a key and a value. The key names a setting, for example local.passphrase."
    )]
    pub(crate) setting: String,
    /// Anything further is a mistake, and may be a passphrase: clap's message would show it.
    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
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

/// What the help says of `--format`.
const FORMAT: &str =
    "Output in the requested format. Valid formats are: table (default), json, csv and yaml.";

/// `--format`, the same for every command that has it.
#[derive(Debug, Args)]
pub(crate) struct FormatArg {
    /// The form of the output.
    #[arg(long, value_enum, value_name = "format", default_value_t = Format::Table, help = FORMAT)]
    pub(crate) format: Format,
}

/// `--format` of a command that lists without a word below it, and of its `list`.
#[derive(Debug, Args)]
pub(crate) struct ListFormatArg {
    /// The form of the list.
    #[arg(long, value_enum, value_name = "format", help = FORMAT)]
    pub(crate) format: Option<Format>,
}

impl ListFormatArg {
    /// The form of the list, wherever it was given: here or at the `list` below.
    pub(crate) fn format_or(&self, below: Option<&Self>) -> Format {
        below.and_then(|below| below.format).or(self.format).unwrap_or(Format::Table)
    }
}

/// The form of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// Comma-separated values under a header line.
    Csv,
    /// YAML.
    Yaml,
}

// The two that may carry a passphrase are never shown, whatever is logged.
impl std::fmt::Debug for AuthenticateArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthenticateArgs([redacted])")
    }
}

impl std::fmt::Debug for SetArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetArgs([redacted])")
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Only to show this text.
    Help(String),
    /// To run a command.
    Run(Box<Cli>),
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// It is not one that this program understands.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_written = |command: &clap::Command| arguments.iter().any(|word| is_called(command, word));
    match parse_by(definition(is_written), &arguments) {
        Ok(Parsed::Run(cli)) if cli.command.is_none() && !cli.options.version => {
            let nothing_is_said = arguments.len() <= 1;
            if nothing_is_said { Ok(Parsed::Run(cli)) } else { Err(no_command(&arguments)) }
        }
        Ok(parsed) => Ok(parsed),
        // What is wrong with a word may be that it is nearly another command's name.
        Err(_) => {
            let mut all = definition(|_| true);
            parse_by(all.clone(), &arguments).map_err(|fault| {
                all.build();
                usage_error(&fault, &all, &arguments)
            })
        }
    }
}

/// What can be written, with those of the commands that are `wanted`. Clap copies the options to each command that
/// there is, and that costs more than all else that is done to a command line.
pub(crate) fn definition(wanted: impl Fn(&clap::Command) -> bool) -> clap::Command {
    let mut all = Command::augment_subcommands(clap::Command::default());
    let wanted = all.get_subcommands_mut().filter(|command| wanted(command)).map(mem::take);
    let multipass = clap::Command::new("multipass").disable_help_flag(true).disable_help_subcommand(true);
    Options::augment_args(multipass).about(ABOUT).subcommands(wanted)
}

/// What is wrong with a command line that begins with `word`, if that is no command.
pub(crate) fn unknown(word: &str) -> Option<Error> {
    parse(["multipass", word].map(OsString::from)).err()
}

/// Whether `word` is that command's name, or an alias of it.
pub(crate) fn is_called(command: &clap::Command, word: impl AsRef<OsStr>) -> bool {
    iter::once(command.get_name()).chain(command.get_all_aliases()).any(|name| word.as_ref() == name)
}

fn parse_by(definition: clap::Command, arguments: &[OsString]) -> Result<Parsed, clap::Error> {
    let found = help::by_name(definition).try_get_matches_from_mut(arguments);
    match found.and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(answer) if answer.kind() == ErrorKind::DisplayHelp => {
            Ok(Parsed::Help(help::named(answer.render().to_string().trim())))
        }
        Err(fault) => Err(fault),
    }
}

/// What is wrong with a command line that has options, and no command.
fn no_command(arguments: &[OsString]) -> Error {
    let all = definition(|_| true);
    let message = match taken_for_value(&all, arguments) {
        Some(mistake) => format!("No command given: {mistake}"),
        None => "No command given".to_owned(),
    };
    Error::usage(message, Some("See `multipass help`, which lists the commands.".to_owned()))
}

/// That an option of `multipass` has for its value what may have been meant as the command, if one has.
fn taken_for_value(all: &clap::Command, arguments: &[OsString]) -> Option<String> {
    arguments.windows(2).find_map(|words| {
        let [option, value] = words else { return None };
        let is_taken = takes_a_value(option, all) && all.find_subcommand(value).is_some();
        let (option, value) = (option.to_string_lossy(), value.to_string_lossy());
        is_taken.then(|| {
            format!("'{value}' was taken for the value of {option}, as in `{option} {value} <command>`")
        })
    })
}

/// Whether `word` is an option of `command` whose value is the next word.
fn takes_a_value(word: &OsStr, command: &clap::Command) -> bool {
    let Some(name) = word.to_str().and_then(|word| word.strip_prefix("--")) else { return false };
    command.get_arguments().any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
}

/// The names of the command in `all`, which is built, that `arguments` are for, and of the one below it: as many as are
/// there. What is an option's value is neither.
fn named_in(all: &clap::Command, arguments: &[OsString]) -> String {
    let (mut command, mut names) = (all, String::new());
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if takes_a_value(word, command) {
            words.next();
        } else if let Some(below) = command.find_subcommand(word) {
            names = format!("{names} {}", below.get_name());
            command = below;
        }
    }
    names
}

/// Clap's message without its own pointers to usage and help, and where to read more.
fn usage_error(fault: &clap::Error, all: &clap::Command, arguments: &[OsString]) -> Error {
    let text = fault.render().to_string();
    let pointer = |paragraph: &&str| {
        paragraph.is_empty()
            || paragraph.starts_with("Usage:")
            || paragraph.starts_with("For more information")
    };
    let mut message: Vec<&str> = text
        .strip_prefix("error: ")
        .unwrap_or(&text)
        .split("\n\n")
        .map(str::trim_end)
        .filter(|paragraph| !pointer(paragraph))
        .collect();
    let mistake = taken_for_value(all, arguments).filter(|_| fault.kind() == ErrorKind::InvalidSubcommand);
    message.extend(mistake.as_deref());
    let more = format!("See `multipass help{}`.", named_in(all, arguments));
    Error::usage(message.join("\n"), Some(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Error> {
        parse(std::iter::once("multipass").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn definitions_are_consistent() {
        definition(|_| true).debug_assert();
    }

    #[test]
    fn help_wins_over_what_is_missing() {
        for line in [
            "set --help",
            "set -h",
            "get -h",
            "-h",
            "--help",
            "auth -h",
            "ls --help",
            "clients -h",
            "clients add --help",
            "clients revoke -h",
            "remote -h",
            "remote add --help",
            "token --help",
            "token revoke -h",
        ] {
            assert!(matches!(parsed(line), Ok(Parsed::Help(_))), "{line}");
        }
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        for (line, message, more) in [
            ("versoin", "a similar subcommand exists: 'version'", "multipass help`"),
            ("frobnicate", "unrecognized subcommand 'frobnicate'", "multipass help`"),
            ("set", "key[=value]", "multipass help set`"),
            ("get", "<key>", "multipass help get`"),
            ("get --keys a", "cannot be used with", "multipass help get`"),
            ("list --formt json", "a similar argument exists: '--format'", "multipass help list`"),
            ("ls --format xml", "invalid value 'xml'", "multipass help list`"),
            ("wait-ready --timeout soon", "invalid value 'soon'", "multipass help wait-ready`"),
            ("wait-ready --timeout -1", "-1", "multipass help wait-ready`"),
            ("version extra", "unexpected argument 'extra'", "multipass help version`"),
            ("clients ad", "a similar subcommand exists: 'add'", "multipass help clients`"),
            ("clients add", "--self|--cert <file>|--user <name>", "multipass help clients add`"),
            ("clients add --self --user a", "cannot be used with", "multipass help clients add`"),
            ("clients add --self --name a/b", "letters, digits, '.', '_' and '-'", "help clients add`"),
            ("clients revoke", "<client>", "multipass help clients revoke`"),
            ("clients show", "<client>", "multipass help clients show`"),
            ("clients rename a", "<name>", "multipass help clients rename`"),
            ("clients rename a b/c", "letters, digits, '.', '_' and '-'", "help clients rename`"),
            ("clients set-level a", "<level>", "multipass help clients set-level`"),
            ("clients set-level a admin", "full, read-only", "multipass help clients set-level`"),
            ("clients --format csv show", "<client>", "multipass help clients show`"),
            ("token creat", "a similar subcommand exists: 'create'", "multipass help token`"),
            ("token create --ttl 1y", "30 days at most", "multipass help token create`"),
            ("token create --address 0.0.0.0:1", "none to connect to", "multipass help token create`"),
            ("token create --name a/b", "letters, digits, '.', '_' and '-'", "help token create`"),
            ("token create --name=", "", "help token create`"),
            ("token create alice", "unexpected argument 'alice'", "multipass help token create`"),
            ("token revoke", "<id>", "multipass help token revoke`"),
            ("deauthenticate now", "unexpected argument 'now'", "multipass help deauthenticate`"),
            ("list --fingerprint ab12", "64 hexadecimal digits", "multipass help list`"),
            ("--root-cert x list --fingerprint y", "", "multipass help list`"),
            ("remote ad", "a similar subcommand exists: 'add'", "multipass help remote`"),
            ("remote add work", "<address>", "multipass help remote add`"),
            ("remote add work nowhere", "the port is missing", "multipass help remote add`"),
            ("remote add a --token t --fingerprint 1", "64 hexadecimal", "multipass help remote add`"),
            ("remote add a --token t --root-cert f", "cannot be used with", "multipass help remote add`"),
            ("remote add a:1 b:1", "looks like an address", "multipass help remote add`"),
            ("remote remove", "<name>", "multipass help remote remove`"),
            ("remote default a b", "unexpected argument 'b'", "multipass help remote default`"),
            ("--remote a:1 list", "looks like an address", "multipass help list`"),
            ("--remote token list extra", "unexpected argument 'extra'", "multipass help list`"),
            // Options, and no command; or what was meant as one is an option's value.
            ("--remote work", "No command given", "multipass help`"),
            (
                "--remote list",
                "No command given: 'list' was taken for the value of --remote",
                "multipass help`",
            ),
            ("--remote ls", "'ls' was taken for the value of --remote", "multipass help`"),
            ("--root-cert list", "'list' was taken for the value of --root-cert", "multipass help`"),
            ("--remote=list", "No command given", "multipass help`"),
            ("--remote stop dev", "'stop' was taken for the value of --remote", "multipass help`"),
            ("-v", "No command given", "multipass help`"),
            ("list --remote 1a", "begins with a letter", "multipass help list`"),
            ("launch --cpus many", "invalid value 'many'", "multipass help launch`"),
            // Zero, and an empty text, would mean the default on the wire.
            ("launch --cpus 0", "0 is not in", "multipass help launch`"),
            ("launch --name= a", "--name", "multipass help launch`"),
            ("launch --memory= a", "--memory", "multipass help launch`"),
            ("launch --timeout 0 a", "0 is not in", "multipass help launch`"),
            ("launch a b", "unexpected argument 'b'", "multipass help launch`"),
            ("start a --all", "cannot be used with", "multipass help start`"),
            ("start --timeout -1", "-1", "multipass help start`"),
            ("stop --time -1 a", "-1 is not in", "multipass help stop`"),
            ("stop --time 1 --cancel a", "cannot be used with", "multipass help stop`"),
            ("stop --time 1 --force a", "cannot be used with", "multipass help stop`"),
            ("stop --force --cancel a", "cannot be used with", "multipass help stop`"),
            ("delete", "<instance[.snapshot]>", "multipass help delete`"),
            ("delete --all a", "cannot be used with", "multipass help delete`"),
            ("recover", "<name>", "multipass help recover`"),
            ("purge a", "unexpected argument 'a'", "multipass help purge`"),
            ("exec", "<name>", "multipass help exec`"),
            ("exec a", "<command>", "multipass help exec`"),
            ("exec a --", "<command>", "multipass help exec`"),
            ("exec a --frob b", "unexpected argument '--frob'", "multipass help exec`"),
            ("shell a b", "unexpected argument 'b'", "multipass help shell`"),
        ] {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.exit_code(), 1, "{line}");
            assert!(error.message().contains(message), "{line}: {}", error.message());
            for pointer in ["Usage:", "For more information"] {
                assert!(!error.message().contains(pointer), "{line}: {}", error.message());
            }
            let next = error.next_step().unwrap_or_default();
            assert!(next.contains(more), "{line}: {next}");
        }
    }

    #[test]
    fn what_needs_no_command() {
        for line in ["", "--version", "--remote list --version"] {
            assert!(matches!(parsed(line), Ok(Parsed::Run(_))), "{line}");
        }
        // A remote may be called as a command is.
        assert!(matches!(parsed("--remote list list"), Ok(Parsed::Run(_))));
    }

    #[test]
    fn verbosity_counts_on_either_side() {
        for (line, expected) in [("list", 0), ("list -v", 1), ("-vv list", 2), ("list -vvvvvv", 6)] {
            let Ok(Parsed::Run(cli)) = parsed(line) else { panic!("{line}") };
            assert_eq!(cli.options.verbose, expected, "{line}");
        }
    }

    #[test]
    fn the_short_options_are_the_documented_ones() {
        let Ok(Parsed::Run(cli)) = parsed("launch -n dev -c 2 -m 1G -d 6G --timeout 9 daily:26.04") else {
            panic!("launch");
        };
        let Some(Command::Launch(args)) = cli.command else { panic!("launch") };
        let text = |text: &'static str| Some(text.to_owned());
        assert_eq!((args.name, args.memory, args.disk), (text("dev"), text("1G"), text("6G")));
        assert_eq!((args.cpus, args.timeout, args.image), (Some(2), Some(9), text("daily:26.04")));
        for line in ["launch --mem 1G", "stop -t +5 a", "stop -t 0 a", "stop -c", "delete -p a b.s1", "purge"]
        {
            assert!(matches!(parsed(line), Ok(Parsed::Run(_))), "{line}");
        }
    }

    #[test]
    fn what_follows_the_command_to_be_run_is_its_own() {
        for (line, directory, expected) in [
            ("exec a ls", None, &["ls"][..]),
            ("exec a -- ls -l --help", None, &["ls", "-l", "--help"]),
            ("exec a ls -l -- -h", None, &["ls", "-l", "--", "-h"]),
            ("exec -d /tmp a -- -v", Some("/tmp"), &["-v"]),
            ("exec a --working-directory /tmp -n -- ls -d", Some("/tmp"), &["ls", "-d"]),
        ] {
            let Ok(Parsed::Run(cli)) = parsed(line) else { panic!("{line}") };
            let Some(Command::Exec(args)) = cli.command else { panic!("{line}") };
            assert_eq!(
                (args.instance.as_str(), args.command.as_slice()),
                ("a", &expected.iter().map(OsString::from).collect::<Vec<_>>()[..]),
                "{line}"
            );
            assert_eq!(args.working_directory, directory.map(OsString::from), "{line}");
        }
    }

    #[test]
    fn passphrases_do_not_show_in_debug_output() {
        for line in ["authenticate s3cret", "set local.passphrase=s3cret", "remote add work --token s3cret"] {
            let shown = format!("{:?}", parsed(line));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
