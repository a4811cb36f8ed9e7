//! Where a passphrase comes from, and what is said of a bad one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::pty::{Terminal, has_setsid};
use crate::support::{Expected, Service, run, run_with_input};

#[test]
fn a_file_or_a_pipe_has_the_passphrase() {
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let file = service.sandbox.path("passphrase");
    fs::write(&file, "open sesame\nanything\n").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    let path = file.display().to_string();
    let by_file = service.user("by-file");
    run(&by_file, &["authenticate", "--passphrase-file", &path]).prints("");
    assert!(service.trusts(&by_file));
    let by_pipe = service.user("by-pipe");
    run_with_input(&by_pipe, &["auth", "--passphrase-file", "-"], "open sesame\n").prints("");
    assert!(service.trusts(&by_pipe));

    // Who else can read it, is told; it is used all the same.
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("set");
    let outcome = run(&by_file, &["authenticate", "--passphrase-file", &path]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));
    assert!(outcome.stderr.starts_with("note: other users can access"), "{outcome:?}");
}

#[test]
fn a_file_without_a_passphrase_is_told() {
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let user = service.user("user");
    let empty = service.sandbox.path("empty");
    fs::write(&empty, "").expect("written");
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).expect("set");
    let missing = service.sandbox.path("missing");
    for (path, code, beginning) in [
        (&missing, 2, "authenticate failed: cannot read the passphrase in "),
        (&empty, 1, "No passphrase given"),
    ] {
        let path = path.display().to_string();
        run(&user, &["authenticate", "--passphrase-file", &path]).fails(code, beginning, &[&path]);
    }
    let both = run(&user, &["authenticate", "s3cret", "--passphrase-file", "-"]);
    both.fails(1, "", &["cannot be used with"]);
    assert!(!both.stderr.contains("s3cret"), "{both:?}");
    assert_eq!(service.trusted(), 1);
}

#[test]
fn on_a_terminal_a_passphrase_that_is_easy_to_guess_is_warned_of() {
    if !has_setsid() {
        return;
    }
    let service = Service::start();
    let first = service.first_client();
    for (passphrase, weak) in [("short", true), ("Password", true), ("tulips in june", false)] {
        let mut terminal = Terminal::run(&first, &["set", "local.passphrase"]);
        terminal.waits_for("Please enter passphrase: ");
        terminal.types(&format!("{passphrase}\n"));
        terminal.waits_for("Please re-enter passphrase: ");
        terminal.types(&format!("{passphrase}\n"));
        let left = terminal.ends();
        assert_eq!(left.code, Some(0), "it is a warning: {:?}", left.shown);
        assert_eq!(left.shown.contains("easy to guess"), weak, "{:?}", left.shown);
    }
    run(&first, &["get", "local.passphrase"]).prints("true\n");
}
