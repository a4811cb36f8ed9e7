//! `remote`: gives services names, and chooses among them. Only `remote add` reaches a service.

mod add;

use crate::args::{Format, RemoteArgs, RemoteCommand};
use crate::connection::{
    ADDRESS_VARIABLE, Context, REMOTE_VARIABLE, Remote, RemoteList, RemoteName, Remotes, SelectedRemote,
    ServiceSource,
};
use crate::error::Error;
use crate::format::{self, remotes::RemoteRow};
use crate::terminal::output;

/// Runs the command if it needs no service.
pub(super) fn offline(context: &Context, args: &RemoteArgs) -> Option<Result<String, Error>> {
    if args.list.format.is_some() && !matches!(args.action, None | Some(RemoteCommand::List(_))) {
        let next = "See `multipass help remote list`.".to_owned();
        return Some(Err(Error::usage("--format belongs to `multipass remote list`", Some(next))));
    }
    Some(match &args.action {
        None => list(context, args.list.format_or(None)),
        Some(RemoteCommand::List(below)) => list(context, args.list.format_or(Some(below))),
        Some(RemoteCommand::Show(args)) => read().and_then(|listed| {
            let remote = match &args.name {
                Some(name) => listed.find(name)?,
                None => in_use(context)?,
            };
            format::remotes::remote(&row(context, &listed, remote), args.format.format)
        }),
        Some(RemoteCommand::Remove(args)) => remove(&args.name),
        Some(RemoteCommand::Default(args)) => match &args.name {
            Some(name) => set_default(context, name),
            None => read().map(|listed| format!("{}\n", listed.default_name())),
        },
        Some(RemoteCommand::Add(_)) => return None,
    })
}

/// Runs the command, which may need a service.
///
/// # Errors
/// It cannot be done.
pub(super) async fn run(context: &Context, args: &RemoteArgs) -> Result<String, Error> {
    match (&args.action, offline(context, args)) {
        (_, Some(done)) => done,
        (Some(RemoteCommand::Add(args)), None) => add::run(context, args).await,
        (_, None) => Ok(String::new()),
    }
}

fn read() -> Result<RemoteList, Error> {
    Ok(Remotes::of_user()?.read()?)
}

fn list(context: &Context, format: Format) -> Result<String, Error> {
    let listed = read()?;
    let all = std::iter::once(Remote::local()).chain(listed.remotes.iter().cloned());
    let rows: Vec<RemoteRow> = all.map(|remote| row(context, &listed, remote)).collect();
    format::remotes::remotes(&rows, format)
}

fn row(context: &Context, listed: &RemoteList, remote: Remote) -> RemoteRow {
    let used = match context.selected_remote() {
        Ok(Some(SelectedRemote { remote, .. })) => Some(remote.name.clone()),
        Ok(None) => (context.service_source() == ServiceSource::Nothing).then(RemoteName::local),
        Err(_) => None,
    };
    RemoteRow {
        is_default: listed.default_name() == remote.name,
        is_in_use: used.as_ref() == Some(&remote.name),
        remote,
    }
}

/// The remote that commands are for.
fn in_use(context: &Context) -> Result<Remote, Error> {
    match context.selected_remote()? {
        Some(SelectedRemote { remote, .. }) => Ok(remote.clone()),
        None if context.service_source() == ServiceSource::Nothing => Ok(Remote::local()),
        None => Err(Error::usage(
            format!("no remote is in use: {ADDRESS_VARIABLE} names the service"),
            Some("Name a remote; `multipass remote list` shows which there are.".to_owned()),
        )),
    }
}

fn remove(name: &RemoteName) -> Result<String, Error> {
    let was_default = Remotes::of_user()?.remove(name)?;
    let then = match was_default {
        true => " It was the default, which is 'local' again: this machine's own service.",
        false => "",
    };
    Ok(format!("The remote {name} is removed.{then}\n"))
}

fn set_default(context: &Context, name: &RemoteName) -> Result<String, Error> {
    Remotes::of_user()?.set_default(name)?;
    let variable = match context.service_source() {
        ServiceSource::RemoteVariable => Some(REMOTE_VARIABLE),
        ServiceSource::AddressVariable => Some(ADDRESS_VARIABLE),
        ServiceSource::RemoteOption | ServiceSource::DefaultRemote | ServiceSource::Nothing => None,
    };
    let result = format!("The default remote is {name}.\n");
    match variable {
        Some(variable) => {
            result_and_hint(&result, &format!("note: {variable} is set, and goes before the default remote"))
        }
        None => Ok(result),
    }
}

/// Prints a command's result, and a hint for the user after it; nothing is left to be printed.
fn result_and_hint(result: &str, hint: &str) -> Result<String, Error> {
    output::print(result).map_err(Error::Output)?;
    output::tell(hint);
    Ok(String::new())
}
