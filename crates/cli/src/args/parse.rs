//! Reads a command line, and says what is wrong with one that is not understood.

use std::ffi::{OsStr, OsString};
use std::{iter, mem};

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches, Subcommand};

use super::{Cli, Command, Options, help};
use crate::error::Error;

const ABOUT: &str = "The client of the Multipass service: create, control and connect to virtual machines.";

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
