//! Help texts in the stock client's layout, from the definitions in [`crate::args`].
//!
//! Clap's own layout is not used: users' scripts and documentation quote the stock texts.

use clap::{Arg, ArgAction, Command};

use crate::args;
use crate::terminal::text::wrap;

/// `definition` with its commands' names for their help texts: which help somebody asks for. The texts are laid out
/// when they are asked for. Commands below commands, which are not defined before, have their names by themselves.
pub(crate) fn by_name(definition: Command) -> Command {
    let named = |command: Command| {
        let name = command.get_name().to_owned();
        command.override_help(name)
    };
    definition.mut_subcommands(named).override_help("")
}

/// The help that has those names in a definition made by [`by_name`].
pub(crate) fn named(names: &str) -> String {
    of(names).unwrap_or_else(general)
}

/// Who writes nothing but `multipass`: where to begin.
pub(crate) const START: &str = "\
Multipass runs virtual machines. To begin with:

  multipass launch ./disk.qcow2 --name dev   create an instance from an image and start it
  multipass list                             list the instances
  multipass doctor                           find out why a command does not work

`multipass help` lists all commands, `multipass help <command>` explains one.
";

/// The whole definition, with what is defined later and without what is hidden: for what is made of it.
pub(crate) fn whole() -> Command {
    let definition = args::definition(|_| true);
    let mut built = definition.clone();
    built.build();
    shown(&built, &definition)
}

/// `command` as users see it, which is described as `described` is: what is defined later replaces that.
fn shown(command: &Command, described: &Command) -> Command {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).map(|below| {
        let described = described.find_subcommand(below.get_name()).unwrap_or(below);
        shown(below, described)
    });
    let mut shown = Command::new(leaked(command.get_name()))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .visible_aliases(command.get_visible_aliases().map(leaked).collect::<Vec<_>>())
        .args(command.get_arguments().map(shown_arg))
        .groups(command.get_groups())
        .subcommands(below);
    if let Some(about) = described.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(about) = described.get_long_about() {
        shown = shown.long_about(about.clone());
    }
    shown
}

/// An option that its help does not tell of, for that is the stock client's to the letter, is told of elsewhere.
fn shown_arg(arg: &Arg) -> Arg {
    arg.clone().hide(arg.is_hide_set() && arg.is_positional())
}

/// A name as clap takes it. Those that are written in the program live as long; it ends soon after this.
pub(crate) fn leaked(name: &str) -> &'static str {
    name.to_owned().leak()
}

/// The general help: how to call, the options, and one line for each command.
pub(crate) fn general() -> String {
    let definition = args::definition(|_| true);
    let options: Vec<(String, String)> = definition.get_arguments().map(entry).collect();
    let commands: Vec<(String, String)> =
        definition.get_subcommands().filter(|command| !command.is_hide_set()).map(summary).collect();
    let about = definition.get_about().map(ToString::to_string).unwrap_or_default();
    format!(
        "Usage: multipass [options] <command>\n{}\n\nOptions:\n{}\nAvailable commands:\n{}",
        wrap(&about, 0),
        aligned(&options).concat(),
        aligned(&commands).concat()
    )
}

/// The help of the command of those names, or aliases: a command's, and then of one below it.
pub(crate) fn of(names: &str) -> Option<String> {
    let first = names.split_whitespace().next()?;
    let definition = args::definition(|command| args::is_called(command, first));
    let mut whole = definition.clone();
    whole.build();
    // What is defined later replaces what a command is said to be.
    let (mut command, mut described, mut called) = (&whole, &definition, "multipass".to_owned());
    for name in names.split_whitespace() {
        command = command.find_subcommand(name)?;
        described = described.find_subcommand(name).unwrap_or(command);
        called = format!("{called} {}", command.get_name());
    }
    let about = described.get_long_about().or_else(|| described.get_about()).map(ToString::to_string);
    let common: Vec<&Arg> = shared_options(&definition).collect();
    Some(of_command(command, &called, &about.unwrap_or_default(), &common))
}

/// Options of every command that its help shows. What concerns the service as a whole stands in the
/// general help only.
fn shared_options(definition: &Command) -> impl Iterator<Item = &Arg> {
    definition.get_arguments().filter(|arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Count))
}

fn of_command(command: &Command, called: &str, about: &str, common: &[&Arg]) -> String {
    let positionals: Vec<&Arg> = command.get_positionals().filter(|arg| !arg.is_hide_set()).collect();
    let mut usage = format!("Usage: {called} [options]");
    for positional in &positionals {
        usage.push(' ');
        usage.push_str(&placeholder(positional));
    }
    let below: Vec<_> = command.get_subcommands().filter(|below| !below.is_hide_set()).map(summary).collect();
    if !below.is_empty() {
        usage.push_str(" [<command>]");
    }

    // Options and arguments share one column for their descriptions.
    let is_own = |arg: &&Arg| !arg.is_positional() && !arg.is_global_set() && !arg.is_hide_set();
    let own = command.get_arguments().filter(is_own);
    let options: Vec<&Arg> = common.iter().copied().chain(own).collect();
    let entries: Vec<_> = options.iter().chain(&positionals).map(|arg| entry(arg)).collect();
    let lines = aligned(&entries);
    let (options, arguments) = lines.split_at(options.len().min(lines.len()));

    let mut text = format!("{usage}\n{about}\n\n{}", options.concat());
    if !arguments.is_empty() {
        text.push('\n');
        text.push_str(&arguments.concat());
    }
    if !below.is_empty() {
        text.push_str(&format!("\nAvailable commands:\n{}", aligned(&below).concat()));
    }
    text
}

/// A command's name and what it is, in a list of commands.
fn summary(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    match command.get_visible_aliases().next() {
        Some(alias) => (command.get_name().to_owned(), format!("{about} (also: {alias})")),
        None => (command.get_name().to_owned(), about),
    }
}

/// How an argument is called in the list of arguments, and what is said about it.
fn entry(arg: &Arg) -> (String, String) {
    let mut name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => arg.get_id().to_string(),
    };
    if !arg.is_positional() && arg.get_action().takes_values() {
        name.push_str(&format!(" <{}>", value_name(arg)));
    }
    (name, arg.get_help().map(ToString::to_string).unwrap_or_default())
}

/// A positional argument in the usage line.
fn placeholder(arg: &Arg) -> String {
    let name = format!("<{}>", value_name(arg));
    let repeated = if matches!(arg.get_action(), ArgAction::Append) { " ..." } else { "" };
    if arg.is_required_set() { format!("{name}{repeated}") } else { format!("[{name}{repeated}]") }
}

fn value_name(arg: &Arg) -> String {
    match arg.get_value_names().and_then(<[_]>::first) {
        Some(name) => name.to_string(),
        None => arg.get_id().to_string(),
    }
}

/// Each entry as its lines: the name, two spaces after the longest name, the description.
fn aligned(entries: &[(String, String)]) -> Vec<String> {
    let width = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let indent = width + 4;
    entries
        .iter()
        .map(|(name, description)| format!("  {name:width$}  {}\n", wrap(description, indent)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::terminal::text::COLUMNS;

    const AUTHENTICATE: &str = "\
Usage: multipass authenticate [options] [<passphrase>]
Authenticate with the Multipass service.
A system administrator should provide you with a passphrase
to allow use of the Multipass service.

  -h, --help     Displays help on commandline options
  -v, --verbose  Increase logging verbosity. Repeat the 'v' in the short option
                 for more detail. Maximum verbosity is obtained with 4 (or more)
                 v's, i.e. -vvvv.

  passphrase     Passphrase to register with the Multipass service. If omitted,
                 a prompt will be displayed for entering the passphrase.
";

    #[test]
    fn authenticate_reads_as_the_stock_text() {
        for name in ["authenticate", "auth"] {
            assert_eq!(of(name).as_deref(), Some(AUTHENTICATE));
        }
    }

    /// Every command, and those below it, by their names.
    fn all() -> Vec<String> {
        let mut definition = args::definition(|_| true);
        definition.build();
        let with_below = |command: &Command| {
            let name = command.get_name().to_owned();
            let below = command.get_subcommands().map(|below| format!("{name} {}", below.get_name()));
            iter::once(name.clone()).chain(below.collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        definition.get_subcommands().flat_map(with_below).collect()
    }

    fn lines(text: String) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_command_answers_with_its_own_help() {
        for names in all() {
            let words = iter::once("multipass").chain(names.split(' ')).chain(["--help"]);
            let Ok(args::Parsed::Help(text)) = args::parse(words.map(Into::into)) else { panic!("{names}") };
            assert!(text.starts_with(&format!("Usage: multipass {names} [options]")), "{names}: {text}");
            assert_eq!(Some(text), of(&names));
        }
    }

    #[test]
    fn no_line_is_too_wide_and_none_ends_in_spaces() {
        for line in all().iter().filter_map(|names| of(names)).chain([general()]).flat_map(lines) {
            assert!(line.len() <= COLUMNS && line.trim_end() == line, "{line:?}");
        }
    }

    #[test]
    fn usage_shows_what_is_required_and_what_repeats() {
        for (name, usage) in [
            ("set", "Usage: multipass set [options] <key[=value]>"),
            ("get", "Usage: multipass get [options] [<key>]"),
            ("info", "Usage: multipass info [options] [<instance[.snapshot]> ...]"),
            ("ls", "Usage: multipass list [options]"),
            ("help", "Usage: multipass help [options] [<command>]"),
            ("clients", "Usage: multipass clients [options] [<command>]"),
            ("token", "Usage: multipass token [options] [<command>]"),
        ] {
            let text = of(name).unwrap_or_default();
            assert_eq!(text.lines().next(), Some(usage));
        }
    }

    #[test]
    fn general_help_has_every_command_once() {
        let text = general();
        for command in args::definition(|_| true).get_subcommands().filter(|command| !command.is_hide_set()) {
            let start = format!("  {} ", command.get_name());
            assert_eq!(text.lines().filter(|line| line.starts_with(&start)).count(), 1, "{start}");
        }
        assert!(text.contains("--root-cert <file>"), "{text}");
    }
}
