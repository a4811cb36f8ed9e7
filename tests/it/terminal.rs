//! Passphrases typed on a terminal.

use nix::sys::signal::Signal;

use crate::pty::{Terminal, has_setsid};
use crate::support::{Expected, NO_INSTANCES, Service, run};

const PROMPT: &str = "Please enter passphrase: ";
const AGAIN: &str = "Please re-enter passphrase: ";

#[test]
fn authenticate_asks_and_shows_nothing_of_the_answer() {
    let Some(service) = service() else { return };
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    for name in ["authenticate", "auth"] {
        let user = service.user(name);
        let mut terminal = Terminal::run(&user, &[name]);
        terminal.waits_for(PROMPT);
        assert!(!terminal.echo());
        terminal.types("open sesame\n");
        let left = terminal.ends();
        assert_eq!(left.shown, format!("{PROMPT}\r\n"));
        assert_eq!((left.code, left.echo), (Some(0), true));
        run(&user, &["list"]).prints(NO_INSTANCES);
    }
}

#[test]
fn what_the_terminal_edits_is_not_part_of_the_answer() {
    let Some(service) = service() else { return };
    run(&service.first_client(), &["set", "local.passphrase=wörter"]).prints("");
    let user = service.user("user");
    let mut terminal = Terminal::run(&user, &["authenticate"]);
    terminal.waits_for(PROMPT);
    // Ctrl-U takes the line back, DEL one letter; Enter sends a carriage return.
    terminal.types("mistaken\u{15}wörterr\u{7f}\r");
    let left = terminal.ends();
    assert_eq!((left.code, left.shown), (Some(0), format!("{PROMPT}\r\n")));
}

#[test]
fn a_wrong_answer_is_told_without_being_shown() {
    let Some(service) = service() else { return };
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let mut terminal = Terminal::run(&service.user("user"), &["authenticate"]);
    terminal.waits_for(PROMPT);
    terminal.types("open barley\n");
    let left = terminal.ends();
    let expected = format!("{PROMPT}\r\nauthenticate failed: Passphrase is not correct.");
    assert!(left.shown.starts_with(&expected), "{:?}", left.shown);
    assert!(!left.shown.contains("barley"), "{:?}", left.shown);
    assert_eq!((left.code, left.echo), (Some(2), true));
}

#[test]
fn no_answer_is_told() {
    let Some(service) = service() else { return };
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let user = service.user("user");
    // An empty line; and Ctrl-D, the end of the input.
    for typed in ["\n", "\u{4}"] {
        for arguments in [&["authenticate"][..], &["set", "local.passphrase"]] {
            let mut terminal = Terminal::run(&user, arguments);
            terminal.waits_for(PROMPT);
            terminal.types(typed);
            if typed == "\n" && arguments[0] == "set" {
                terminal.waits_for(AGAIN);
                terminal.types(typed);
            }
            let left = terminal.ends();
            assert!(left.shown.contains("No passphrase given"), "{:?}", left.shown);
            assert_eq!((left.code, left.echo), (Some(1), true), "{arguments:?} {typed:?}");
        }
    }
    assert_eq!(service.trusted(), 1);
}

#[test]
fn set_asks_twice() {
    let Some(service) = service() else { return };
    let first = service.first_client();
    let mut terminal = Terminal::run(&first, &["set", "local.passphrase"]);
    terminal.waits_for(PROMPT);
    assert!(!terminal.echo());
    terminal.types("open sesame\n");
    terminal.waits_for(AGAIN);
    assert!(!terminal.echo());
    terminal.types("open sesame\n");
    let left = terminal.ends();
    assert_eq!(left.shown, format!("{PROMPT}\r\n{AGAIN}\r\n"));
    assert_eq!((left.code, left.echo), (Some(0), true));
    run(&service.user("user"), &["authenticate", "open sesame"]).prints("");
}

#[test]
fn two_answers_that_differ_change_nothing() {
    let Some(service) = service() else { return };
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=before"]).prints("");
    let mut terminal = Terminal::run(&first, &["set", "local.passphrase"]);
    terminal.waits_for(PROMPT);
    terminal.types("open sesame\n");
    terminal.waits_for(AGAIN);
    terminal.types("open barley\n");
    let left = terminal.ends();
    assert_eq!(left.shown, format!("{PROMPT}\r\n{AGAIN}\r\nPassphrases do not match\r\n"));
    assert_eq!((left.code, left.echo), (Some(1), true));
    run(&service.user("user"), &["authenticate", "before"]).prints("");
}

#[test]
fn an_interrupted_prompt_brings_the_echo_back() {
    let Some(service) = service() else { return };
    let first = service.first_client();
    for arguments in [&["authenticate"][..], &["set", "local.passphrase"]] {
        for (signal, code) in [
            (None, 130),
            (Some(Signal::SIGINT), 130),
            (Some(Signal::SIGTERM), 143),
            (Some(Signal::SIGHUP), 129),
        ] {
            let mut terminal = Terminal::run(&first, arguments);
            terminal.waits_for(PROMPT);
            assert!(!terminal.echo());
            match signal {
                Some(signal) => terminal.signal(signal),
                // Half an answer, then Ctrl-C.
                None => terminal.types("open ses\u{3}"),
            }
            let left = terminal.ends();
            assert_eq!((left.code, left.echo), (Some(code), true), "{arguments:?} {signal:?}");
            assert!(!left.shown.contains("open"), "{:?}", left.shown);
        }
    }
    run(&first, &["get", "local.passphrase"]).prints("false\n");
}

#[test]
fn a_passphrase_on_the_command_line_is_not_asked_for() {
    let Some(service) = service() else { return };
    let first = service.first_client();
    for arguments in [&["set", "local.passphrase=open sesame"][..], &["authenticate", "open sesame"]] {
        let left = Terminal::run(&first, arguments).ends();
        assert_eq!((left.code, left.echo), (Some(0), true), "{arguments:?}");
        // Nor is it shown, and nothing is said but this.
        assert_eq!(left.shown.lines().count(), 1, "{:?}", left.shown);
        assert!(left.shown.starts_with("note: other users of this machine can see"), "{:?}", left.shown);
    }
}

/// A service, where a terminal can be had for a command.
fn service() -> Option<Service> {
    has_setsid().then(Service::start)
}
