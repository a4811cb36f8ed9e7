//! `multipass help` and `--help`, which need no service, no certificate and no home.

use std::fs;

use e2e::Outcome;

use crate::support::{Expected, Service, run};

/// The documented text, to the letter.
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

const COMMANDS: &[&str] = &[
    "authenticate",
    "clients",
    "completions",
    "deauthenticate",
    "delete",
    "doctor",
    "exec",
    "find",
    "get",
    "help",
    "info",
    "launch",
    "list",
    "networks",
    "purge",
    "recover",
    "remote",
    "restart",
    "set",
    "shell",
    "start",
    "stop",
    "suspend",
    "token",
    "transfer",
    "version",
    "wait-ready",
];

#[test]
fn the_help_of_authenticate_is_the_documented_text() {
    let service = Service::start();
    let user = service.user("user");
    for arguments in [
        &["help", "authenticate"][..],
        &["help", "auth"],
        &["authenticate", "--help"],
        &["authenticate", "-h"],
        &["auth", "--help"],
        &["authenticate", "a", "b", "c", "--help"],
    ] {
        run(&user, arguments).prints(AUTHENTICATE);
    }
}

#[test]
fn every_command_has_its_help() {
    let service = Service::start();
    let user = service.user("user");
    for command in COMMANDS {
        let outcome = run(&user, &["help", command]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command}: {outcome:?}");
        let usage = format!("Usage: multipass {command} [options]");
        assert!(outcome.stdout.starts_with(&usage), "{outcome:?}");
        assert_eq!(run(&user, &[command, "--help"]), outcome, "{command}");
        assert_eq!(run(&user, &[command, "-h"]), outcome, "{command}");
    }
}

#[test]
fn the_commands_below_commands_have_their_help() {
    let service = Service::start();
    let user = service.user("user");
    for (above, commands) in [
        ("clients", &["list", "show", "add", "rename", "set-level", "revoke"][..]),
        ("token", &["create", "list", "revoke"]),
        ("remote", &["add", "list", "show", "remove", "default"]),
    ] {
        let help = run(&user, &["help", above]).stdout;
        for command in commands {
            assert!(help.lines().any(|line| line.split_whitespace().next() == Some(command)), "{help}");
            let outcome = run(&user, &[above, command, "--help"]);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command}: {outcome:?}");
            let usage = format!("Usage: multipass {above} {command} [options]");
            assert!(outcome.stdout.starts_with(&usage), "{outcome:?}");
            run(&user, &["help", above, command]).prints(&outcome.stdout);
        }
    }
    run(&user, &["help", "token", "crate"]).fails(
        1,
        "unknown command 'token crate'",
        &["multipass help token"],
    );
    // There is nothing that it could mean but its help.
    run(&user, &["token"]).prints(&run(&user, &["help", "token"]).stdout);
}

#[test]
fn a_mistyped_command_is_suggested_by_help_as_by_itself() {
    let service = Service::start();
    let user = service.user("user");
    for (arguments, part) in [
        (&["help", "versoin"][..], "a similar subcommand exists: 'version'"),
        (&["versoin"], "a similar subcommand exists: 'version'"),
        (&["help", "frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["help", "--", "--help"], "unknown command '--help'"),
    ] {
        run(&user, arguments).fails(1, "un", &[part, "See `multipass help`."]);
    }
}

#[test]
fn the_general_help_names_every_command() {
    let service = Service::start();
    let user = service.user("user");
    for arguments in [&["help"], &["--help"], &["-h"]] {
        let outcome = run(&user, arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        for command in COMMANDS {
            let named = outcome.stdout.lines().any(|line| line.split_whitespace().next() == Some(command));
            assert!(named, "{command}: {outcome:?}");
        }
    }
}

#[test]
fn who_writes_nothing_is_shown_where_to_begin() {
    let service = Service::start();
    let outcome = run(&service.user("user"), &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.lines().count() < 10, "it is short: {outcome:?}");
    for part in ["multipass launch", "multipass doctor", "`multipass help`"] {
        assert!(outcome.stdout.contains(part), "no {part}: {outcome:?}");
    }
}

#[test]
fn help_needs_nothing_and_leaves_nothing() {
    let service = Service::start();
    let user = service.user("user");
    let mut command = user.command(&["help", "authenticate"]);
    command
        .env_remove("HOME")
        .env("MULTIPASS_SERVER_ADDRESS", "no address at all")
        .env("MULTIPASS_ROOT_CERT", user.home.join("none.pem"));
    Outcome::of(&mut command, "").expect("the client runs").prints(AUTHENTICATE);

    run(&user, &["help"]);
    run(&user, &["list", "--help"]);
    assert_eq!(fs::read_dir(&user.home).expect("the home").count(), 0);
    assert_eq!(service.trusted(), 0);
}
