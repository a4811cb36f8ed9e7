//! A service on another machine: known by its root's fingerprint, or asked about, or refused.
//!
//! The other machine is this one. Linux takes 0.0.0.0 for an address of its own to connect to, and nobody takes it for
//! one of loopback.

use std::fs;

use e2e::{Client, DaemonOptions, Outcome, Sandbox, Via};

use crate::pty::{Terminal, has_setsid};
use crate::recorder::{Record, Recorder};
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, VERSION, mode, run};

const QUESTION: &str = "Do you trust this service? [yes/no] ";
const PROMPT: &str = "Please enter passphrase: ";
const ANOTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A daemon with a passphrase, its address from elsewhere, and its fingerprint as an administrator reads it.
fn service() -> (Service, String, String) {
    let service = Service::start_with(DaemonOptions { also: vec![Via::Tcp], ..DaemonOptions::default() });
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let address = service.daemon.address_over(Via::Tcp).expect("an address").replace("localhost", "0.0.0.0");
    let fingerprint = service.fingerprint();
    (service, address, fingerprint)
}

fn elsewhere(service: &Service, name: &str, address: &str) -> Client {
    Client::elsewhere(&service.sandbox, name, address).expect("a home")
}

/// What a list has beside its comments.
fn known(user: &Client) -> Vec<String> {
    let text = fs::read_to_string(user.known_servers()).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn who_accepts_a_service_authenticates_and_is_not_asked_again() {
    if !has_setsid() {
        return;
    }
    let (service, address, fingerprint) = service();
    let user = elsewhere(&service, "user", &address);
    let mut terminal = Terminal::run(&user, &["authenticate"]);
    terminal.waits_for(QUESTION);
    assert!(terminal.echo(), "the answer is no secret");
    terminal.types("yes\n");
    terminal.waits_for(PROMPT);
    assert!(!terminal.echo());
    terminal.types("open sesame\n");
    let left = terminal.ends();
    assert_eq!(left.code, Some(0), "{:?}", left.shown);
    assert!(left.shown.contains(&fingerprint), "{:?}", left.shown);
    assert!(service.trusts(&user));

    assert_eq!(known(&user), [format!("{address} {fingerprint}")]);
    assert_eq!(mode(&user.known_servers()), 0o600);
    run(&user, &["list"]).prints(NO_INSTANCES);
    let left = Terminal::run(&user, &["list"]).ends();
    assert_eq!((left.code, left.shown.as_str()), (Some(0), "No instances found.\r\n"));
}

#[test]
fn anything_but_yes_is_a_no() {
    if !has_setsid() {
        return;
    }
    let server = Recorder::start("127.0.0.1:0");
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let address = server.endpoint.to_string().replace("127.0.0.1", "0.0.0.0");
    let user = Client::elsewhere(&sandbox, "user", &address).expect("a home");
    let answers = ["no\n", "y\n", "\n", "yes please\n", "\u{4}"];
    for answer in answers {
        let mut terminal = Terminal::run(&user, &["authenticate", "open sesame"]);
        terminal.waits_for(QUESTION);
        terminal.types(answer);
        let left = terminal.ends();
        assert_eq!(left.code, Some(2), "{answer:?}: {:?}", left.shown);
        assert!(left.shown.contains("was not accepted"), "{answer:?}: {:?}", left.shown);
    }
    assert!(!user.known_servers().exists() && !user.identity().exists(), "nothing is begun");
    // It was looked at, and told nothing.
    assert_eq!(server.record(), Record { arrived: answers.len(), ..Record::default() });
}

#[test]
fn where_nobody_can_be_asked_an_unknown_service_is_not_even_reached() {
    let server = Recorder::start("127.0.0.1:0");
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let address = server.endpoint.to_string().replace("127.0.0.1", "0.0.0.0");
    let user = Client::elsewhere(&sandbox, "user", &address).expect("a home");
    let hints = ["is on another machine", "on a terminal", "`sudo multipassd fingerprint`", "--root-cert"];
    for arguments in [&["authenticate", "open sesame"][..], &["list"], &["wait-ready"], &["clients"]] {
        let command = arguments[0];
        run(&user, arguments).fails(2, &format!("{command} failed: "), &hints);
    }
    run(&user, &["version"]).prints(&format!("multipass   {VERSION}\n"));
    assert_eq!(server.record(), Record::default());
}

#[test]
fn a_fingerprint_on_the_command_line_is_remembered_and_one_in_the_environment_is_not() {
    let (service, address, fingerprint) = service();
    let user = elsewhere(&service, "user", &address);
    let mut command = user.command(&["authenticate", "open sesame"]);
    Outcome::of(command.env("MULTIPASS_FINGERPRINT", &fingerprint), "").expect("it runs").prints("");
    assert!(!user.known_servers().exists());

    run(&user, &["list", "--fingerprint", ANOTHER]).fails(2, "list failed: ", &[ANOTHER, &fingerprint]);
    assert!(!user.known_servers().exists(), "what is wrong is not remembered");
    let written = format!("SHA256:{}", fingerprint.to_uppercase());
    let listed = run(&user, &["list", "--fingerprint", &written]);
    assert_eq!((listed.code, listed.stdout.as_str()), (0, NO_INSTANCES));
    assert!(listed.stderr.contains("is known by that fingerprint from now on"), "{listed:?}");
    assert_eq!(known(&user), [format!("{address} {fingerprint}")]);
    run(&user, &["list", "--fingerprint", &fingerprint]).prints(NO_INSTANCES);
    run(&user, &["list"]).prints(NO_INSTANCES);

    for (name, value) in [("MULTIPASS_FINGERPRINT", "12:34"), ("MULTIPASS_ROOT_CERT", "/root.pem")] {
        let mut command = user.command(&["list"]);
        command.env("MULTIPASS_FINGERPRINT", &fingerprint).env(name, value);
        let code = if name == "MULTIPASS_FINGERPRINT" { 2 } else { 1 };
        Outcome::of(&mut command, "").expect("it runs").fails(code, "", &["MULTIPASS_FINGERPRINT"]);
    }
    let both = ["list", "--fingerprint", &fingerprint, "--root-cert", "/root.pem"];
    run(&user, &both).fails(1, "", &["--fingerprint", "--root-cert", "cannot be used with"]);
}

#[test]
fn a_root_certificate_s_copy_does_as_well() {
    let (service, address, _) = service();
    let user = elsewhere(&service, "user", &address);
    let copy = service.daemon.root_certificate.display().to_string();
    run(&user, &["--root-cert", &copy, "list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&user, &["--root-cert", &copy, "authenticate", "open sesame"]).prints("");
    run(&user, &["--root-cert", &copy, "list"]).prints(NO_INSTANCES);
    assert!(!user.known_servers().exists());
}

#[test]
fn a_changed_root_is_refused_before_the_passphrase_until_it_is_accepted_on_purpose() {
    let (service, address, before) = service();
    let user = elsewhere(&service, "user", &address);
    assert_eq!(run(&user, &["--fingerprint", &before, "authenticate", "open sesame"]).code, 0);
    let certificates = service.daemon.data.join("certificates");
    let service = service.meanwhile(|_| fs::remove_dir_all(&certificates).expect("removed"));
    let after = service.fingerprint();
    assert_ne!(before, after);

    let line = format!("(line 3 of {})", user.known_servers().display());
    let accept = format!("multipass --fingerprint {after} list");
    let parts = ["another root than before", &before, &after, &line, "Nothing secret was sent", &accept];
    run(&user, &["list"]).fails(2, "list failed: ", &parts);
    if has_setsid() {
        // It is not asked about, nor is the passphrase asked for.
        let left = Terminal::run(&user, &["authenticate"]).ends();
        assert_eq!(left.code, Some(2), "{:?}", left.shown);
        assert!(left.shown.starts_with("authenticate failed: "), "{:?}", left.shown);
    }
    assert_eq!(known(&user), [format!("{address} {before}")]);

    let accepting: Vec<&str> = accept.split(' ').skip(1).collect();
    assert_eq!(run(&user, &accepting).code, 0);
    run(&user, &["list"]).prints(NO_INSTANCES);
    assert_eq!(known(&user), [format!("{address} {after}")]);
}

#[test]
fn a_list_that_cannot_be_relied_upon_is_named() {
    let (service, address, fingerprint) = service();
    let user = elsewhere(&service, "user", &address);
    let known = || fs::read_to_string(user.known_servers()).expect("a list");
    assert_eq!(run(&user, &["--fingerprint", &fingerprint, "authenticate", "open sesame"]).code, 0);
    let good = known();
    for (damaged, line) in [(good.replacen(&fingerprint[..8], "", 1), 3), (format!("{good}what?\n"), 4)] {
        fs::write(user.known_servers(), &damaged).expect("written");
        let path = user.known_servers().display().to_string();
        run(&user, &["list"]).fails(2, "list failed: ", &[&format!("line {line} of"), &path, "Fix the line"]);
        // Whoever says so needs no list; but it is told that nothing is remembered.
        let listed = run(&user, &["list", "--fingerprint", &fingerprint]);
        assert_eq!((listed.code, listed.stdout.as_str()), (0, NO_INSTANCES));
        assert!(listed.stderr.contains("warning") && listed.stderr.contains(&path), "{listed:?}");
        assert_eq!(known(), damaged);
    }
}
