//! What is wrong on the command line: exit code 1, said so, and nobody is asked.

use std::fs;

use crate::support::{Expected, Service, run};

/// Beside a service, so that it would be reached.
#[test]
fn options_without_a_command_are_a_mistake() {
    let service = Service::start();
    let user = service.user("user");
    for (arguments, part) in [
        (&["--remote", "list"][..], "'list' was taken for the value of --remote"),
        (&["--remote", "local"], "No command given"),
        (&["-v"], "No command given"),
    ] {
        run(&user, arguments).fails(1, "No command given", &[part, "See `multipass help`"]);
    }
    assert_eq!(run(&user, &[]).code, 0, "it shows where to begin");
}

#[test]
fn mistakes_exit_1_with_a_message() {
    let service = Service::start();
    let user = service.user("user");
    for (arguments, part) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["lst"], "lst"),
        (&["help", "frobnicate"], "frobnicate"),
        (&["authenticate", "a", "b"], "Too many arguments given"),
        (&["set", "local.passphrase", "words"], "Too many arguments given"),
        (&["authenticate", "--nosuch"], "--nosuch"),
        (&["authenticate", ""], "No passphrase given"),
        (&["list", "--format", "xml"], "xml"),
        (&["list", "extra"], "extra"),
        (&["version", "--format", "toml"], "toml"),
        (&["get"], "key"),
        (&["set"], "key"),
        (&["set", "local.driver"], "local.driver"),
        (&["set", "=value"], "key"),
        (&["wait-ready", "--timeout", "soon"], "soon"),
    ] {
        run(&user, arguments).fails(1, "", &[part]);
    }
    assert_eq!(service.trusted(), 0);
    assert_eq!(fs::read_dir(&user.home).expect("the home").count(), 0, "no certificate was needed");
}

#[test]
fn a_mistake_shows_the_way_to_the_help() {
    let service = Service::start();
    let user = service.user("user");
    for (arguments, help) in [
        (&["frobnicate"][..], "multipass help"),
        (&["list", "--nosuch"], "multipass help list"),
        (&["authenticate", "a", "b"], "multipass help authenticate"),
    ] {
        run(&user, arguments).fails(1, "", &[help]);
    }
}
