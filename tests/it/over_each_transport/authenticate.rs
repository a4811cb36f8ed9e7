//! `multipass authenticate`: each of its answers, and what is stored.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use super::over_each_transport;
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, run, run_with_input};

const WRONG: &str = "authenticate failed: Passphrase is not correct.";

over_each_transport! {
    without_a_passphrase_set_nobody_authenticates
    the_right_passphrase_lets_a_client_in
    a_wrong_passphrase_lets_nobody_in
    a_client_is_stored_once
    every_byte_of_a_passphrase_counts
    a_passphrase_may_be_any_text
    only_the_last_passphrase_is_right
    no_passphrase_and_too_many_are_mistakes_on_the_command_line
}

fn without_a_passphrase_set_nobody_authenticates(service: Service) {
    let first = service.first_client();
    for (name, guess) in [("bob", "guess"), ("carol", "no"), ("first", "mine")] {
        let user = service.user(name);
        run(&user, &["authenticate", guess]).fails(2, "authenticate failed: ", &["No passphrase is set."]);
    }
    assert_eq!(service.trusted(), 1);
    assert!(service.trusts(&first));
}

fn the_right_passphrase_lets_a_client_in(service: Service) {
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    for (name, arguments, input) in [
        ("argument", &["authenticate", "open sesame"][..], ""),
        ("alias", &["auth", "open sesame"], ""),
        ("pipe", &["authenticate"], "open sesame\n"),
        ("pipe-without-newline", &["authenticate"], "open sesame"),
        ("pipe-crlf", &["auth"], "open sesame\r\n"),
    ] {
        let user = service.user(name);
        run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        run_with_input(&user, arguments, input).prints("");
        assert!(service.trusts(&user), "{name}");
        run(&user, &["list"]).prints(NO_INSTANCES);
    }
    assert_eq!(service.trusted(), 6);
}

fn a_wrong_passphrase_lets_nobody_in(mut service: Service) {
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    let user = service.user("user");
    let guesses =
        ["open barley", "Open sesame", "open sesame ", " open sesame", "open sesam", "open sesame\0x"];
    // More at a time would have to wait; a restart forgets them.
    for guesses in guesses.chunks(3) {
        for guess in guesses {
            // An argument cannot hold a NUL byte; a line can.
            run_with_input(&user, &["authenticate"], &format!("{guess}\n")).fails(2, WRONG, &[]);
        }
        service = service.restart(Signal::SIGTERM);
    }
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&user, &["authenticate", &"x".repeat(2000)]).fails(2, WRONG, &[]);
    // Being trusted already does not make a wrong passphrase right, nor does it cost the trust.
    run(&first, &["authenticate", "open barley"]).fails(2, WRONG, &[]);
    run(&first, &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.trusted(), 1);
}

fn a_client_is_stored_once(service: Service) {
    let (first, user) = (service.first_client(), service.user("user"));
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    for client in [&first, &user, &user, &first] {
        run(client, &["authenticate", "open sesame"]).prints("");
    }
    assert_eq!(service.trusted(), 2);
}

fn every_byte_of_a_passphrase_counts(service: Service) {
    // Eight letters in ten bytes: compared by their first eight bytes, all of these were the same.
    run(&service.first_client(), &["set", "local.passphrase=pässwörd"]).prints("");
    let user = service.user("user");
    for guess in ["pässwö", "pässwörx", "pässwöxx"] {
        run(&user, &["authenticate", guess]).fails(2, WRONG, &[]);
    }
    run(&user, &["authenticate", "pässwörd"]).prints("");
    assert!(service.trusts(&user));
}

fn a_passphrase_may_be_any_text(service: Service) {
    let first = service.first_client();
    for (number, passphrase) in
        ["a=b==", "=", " spaces around ", "wörter, 単語, слова ☃", "$(echo) `\"'\\", "x\ty"]
            .iter()
            .enumerate()
    {
        run(&first, &["set", &format!("local.passphrase={passphrase}")]).prints("");
        let user = service.user(&format!("user{number}"));
        run(&user, &["authenticate", passphrase]).prints("");
        run(&user, &["list"]).prints(NO_INSTANCES);
    }
}

fn only_the_last_passphrase_is_right(service: Service) {
    let (first, user, late) = (service.first_client(), service.user("user"), service.user("late"));
    run(&first, &["set", "local.passphrase=old"]).prints("");
    run(&user, &["authenticate", "old"]).prints("");
    run(&first, &["set", "local.passphrase=new"]).prints("");
    run(&late, &["authenticate", "old"]).fails(2, WRONG, &[]);

    run(&first, &["set", "local.passphrase="]).prints("");
    run(&late, &["authenticate", "new"]).fails(2, "authenticate failed: ", &["No passphrase is set."]);
    // Who was let in stays in.
    run(&user, &["list"]).prints(NO_INSTANCES);
    run(&late, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(service.trusted(), 2);
}

fn no_passphrase_and_too_many_are_mistakes_on_the_command_line(service: Service) {
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let user = service.user("user");
    let empty = service.sandbox.path("empty").display().to_string();
    fs::write(&empty, "\n").unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).unwrap();
    for (arguments, input, message, step) in [
        (&["authenticate", ""][..], "", "No passphrase given", "Leave it out to be asked"),
        (&["authenticate"], "\n", "No passphrase given", "pipe it in as one line"),
        (&["authenticate"], "", "No passphrase given", "pipe it in as one line"),
        (&["authenticate", "--passphrase-file", &empty], "", "No passphrase given", &empty),
        (&["authenticate", "open", "sesame"], "", "Too many arguments given", "help authenticate"),
        (&["auth", "open sesame", "and", "more"], "", "Too many arguments given", "help authenticate"),
    ] {
        run_with_input(&user, arguments, input).fails(1, message, &[step]);
    }
    assert_eq!(service.trusted(), 1);
}
