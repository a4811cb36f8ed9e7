//! The commands. Each returns what goes to standard output; nothing is printed half-way.
//!
//! They know all other folders, and nothing but `main` knows them.

mod authenticate;
mod clients;
mod deauthenticate;
mod doctor;
mod info;
mod instances;
mod list;
mod remote;
mod settings;
mod token;
mod version;
mod wait_ready;

use crate::args::{
    self, Cli, ClientsCommand, Command, CompletionsArgs, HelpArgs, RemoteCommand, TokenCommand, help,
};
use crate::commands::settings::primary_name;
use crate::connection::Context;
use crate::error::Error;
use crate::format;

/// The command's name in messages, whatever alias was used.
pub(crate) fn name(cli: &Cli) -> &'static str {
    match &cli.command {
        Some(Command::Authenticate(_)) => "authenticate",
        Some(Command::Clients(args)) => match args.action {
            Some(ClientsCommand::Add(_)) => "clients add",
            Some(ClientsCommand::Rename(_)) => "clients rename",
            Some(ClientsCommand::Revoke(_)) => "clients revoke",
            Some(ClientsCommand::SetLevel(_)) => "clients set-level",
            Some(ClientsCommand::Show(_)) => "clients show",
            _ => "clients",
        },
        Some(Command::Completions(_)) => "completions",
        Some(Command::Deauthenticate(_)) => "deauthenticate",
        Some(Command::Delete(_)) => "delete",
        Some(Command::Doctor(_)) => "doctor",
        Some(Command::Exec(_)) => "exec",
        Some(Command::Find(_)) => "find",
        Some(Command::Get(_)) => "get",
        Some(Command::Help(_)) | None => "help",
        Some(Command::Info(_)) => "info",
        Some(Command::Launch(_)) => "launch",
        Some(Command::List(_)) => "list",
        #[cfg(feature = "man")]
        Some(Command::Man(_)) => "man",
        Some(Command::Networks(_)) => "networks",
        Some(Command::Purge) => "purge",
        Some(Command::Recover(_)) => "recover",
        Some(Command::Remote(args)) => match args.action {
            Some(RemoteCommand::Add(_)) => "remote add",
            Some(RemoteCommand::Remove(_)) => "remote remove",
            Some(RemoteCommand::Default(_)) => "remote default",
            Some(RemoteCommand::Show(_)) => "remote show",
            _ => "remote",
        },
        Some(Command::Restart(_)) => "restart",
        Some(Command::Set(_)) => "set",
        Some(Command::Shell(_)) => "shell",
        Some(Command::Start(_)) => "start",
        Some(Command::Stop(_)) => "stop",
        Some(Command::Suspend(_)) => "suspend",
        Some(Command::Token(args)) => match args.action {
            Some(TokenCommand::Create(_)) => "token create",
            Some(TokenCommand::List(_)) => "token list",
            Some(TokenCommand::Revoke(_)) => "token revoke",
            None => "token",
        },
        Some(Command::Transfer(_)) => "transfer",
        Some(Command::Version(_)) => "version",
        Some(Command::WaitReady(_)) => "wait-ready",
    }
}

/// Answers what does not need the service; `None` for the rest.
pub(crate) fn offline(cli: &Cli) -> Option<Result<String, Error>> {
    match &cli.command {
        _ if cli.options.version => Some(Ok(format::version::client_line())),
        None => Some(Ok(help::START.to_owned())),
        Some(Command::Completions(args)) => Some(Ok(completions(args))),
        #[cfg(feature = "man")]
        Some(Command::Man(args)) => Some(crate::args::man::write(&args.directory)),
        Some(Command::Help(args)) => Some(help_about(args)),
        Some(Command::Clients(args)) => match &args.action {
            Some(ClientsCommand::OwnCertificate(args)) => Some(clients::own_certificate(args)),
            _ => None,
        },
        Some(Command::Remote(args)) => remote::offline(&Context::new(cli.options.service()), args),
        Some(Command::Token(args)) if args.action.is_none() => Some(Ok(help::named("token"))),
        Some(Command::Get(args)) if args.key.as_deref() == Some(primary_name::KEY) => {
            Some(settings::get_primary_name(args))
        }
        _ => None,
    }
}

/// Whether a command is for a service that is to become a remote, and not for the one that is in use.
pub(crate) fn adds_a_remote(cli: &Cli) -> bool {
    matches!(&cli.command, Some(Command::Remote(args)) if matches!(args.action, Some(RemoteCommand::Add(_))))
}

/// Whether a command sees to signals itself: it has to tell somebody else before it ends.
pub(crate) fn handles_signals(cli: &Cli) -> bool {
    matches!(cli.command, Some(Command::Exec(_) | Command::Shell(_) | Command::Transfer(_)))
}

/// Runs a command that may talk to the service.
///
/// # Errors
/// The command failed.
pub(crate) async fn online(context: &Context, cli: Cli) -> Result<String, Error> {
    let Some(command) = cli.command else {
        return Ok(String::new());
    };
    match command {
        Command::Version(args) => version::run(context, &args).await,
        Command::Authenticate(args) => authenticate::run(context, args).await,
        Command::Clients(args) => clients::run(context, &args).await,
        Command::Completions(args) => Ok(completions(&args)),
        Command::Deauthenticate(args) => deauthenticate::run(context, &args).await,
        Command::Delete(args) => instances::delete(context, &args).await,
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::Exec(args) => instances::exec(context, &args).await,
        Command::Find(args) => instances::find(context, &args).await,
        Command::Get(args) => settings::get(context, args).await,
        Command::Info(args) => info::run(context, &args).await,
        Command::Launch(args) => instances::launch(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        #[cfg(feature = "man")]
        Command::Man(args) => crate::args::man::write(&args.directory),
        Command::Networks(args) => instances::networks(context, &args).await,
        Command::Purge => instances::purge(context).await,
        Command::Recover(args) => instances::recover(context, &args).await,
        Command::Remote(args) => remote::run(context, &args).await,
        Command::Restart(args) => instances::restart(context, &args).await,
        Command::Set(args) => settings::set(context, args).await,
        Command::Shell(args) => instances::shell(context, &args).await,
        Command::Start(args) => instances::start(context, &args).await,
        Command::Stop(args) => instances::stop(context, &args).await,
        Command::Suspend(args) => instances::suspend(context, &args).await,
        Command::Token(args) => token::run(context, &args).await,
        Command::Transfer(args) => instances::transfer(context, &args).await,
        Command::WaitReady(args) => wait_ready::run(context, &args).await,
        Command::Help(args) => help_about(&args),
    }
}

/// The script with which a shell completes what is defined.
fn completions(args: &CompletionsArgs) -> String {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::whole(), "multipass", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn help_about(args: &HelpArgs) -> Result<String, Error> {
    let Some(name) = &args.command else {
        return Ok(help::general());
    };
    let unknown = || {
        let unknown =
            || Error::usage(format!("unknown command '{name}'"), Some("See `multipass help`.".to_owned()));
        args::unknown(name).unwrap_or_else(unknown)
    };
    let whole = help::of(name).ok_or_else(unknown)?;
    let Some(below) = &args.below else { return Ok(whole) };
    help::of(&format!("{name} {below}")).ok_or_else(|| {
        let next = format!("See `multipass help {name}`.");
        Error::usage(format!("unknown command '{name} {below}'"), Some(next))
    })
}
