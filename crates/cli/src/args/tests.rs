//! Command lines that are understood, and what is said of those that are not.

use std::ffi::OsString;

use super::*;
use crate::error::Error;

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
        ("--remote list", "No command given: 'list' was taken for the value of --remote", "multipass help`"),
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
    for line in ["launch --mem 1G", "stop -t +5 a", "stop -t 0 a", "stop -c", "delete -p a b.s1", "purge"] {
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
