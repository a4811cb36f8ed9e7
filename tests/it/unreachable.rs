//! No service, or not the one that this client trusts: each with its own message.

use std::fs;

use e2e::{Client, Daemon, DaemonOptions, Outcome, Sandbox};
use nix::sys::signal::Signal;

use crate::support::{DAEMON, Expected, NO_INSTANCES, Service, run};

const NO_SERVICE: &str = "list failed: cannot connect to the multipass socket";

#[test]
fn a_service_that_is_not_running_cannot_be_reached() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let service = Service::start();
        let user = service.first_client();
        let socket = service.daemon.socket.clone();
        service.daemon.stop_with(signal).expect("an end");
        // A daemon that was killed leaves its socket behind.
        assert_eq!(socket.exists(), signal == Signal::SIGKILL);
        let path = socket.display().to_string();
        run(&user, &["list"]).fails(2, NO_SERVICE, &[&path, "multipassd"]);
        for command in ["info", "get", "authenticate"] {
            let outcome = run(&user, &[command, "local.passphrase"]);
            outcome.fails(2, &format!("{command} failed: cannot connect to the multipass socket"), &[]);
        }
    }
}

#[test]
fn a_service_that_never_ran_cannot_be_reached() {
    let service = Service::start();
    let user = service.user("user");
    let mut command = user.command(&["list"]);
    command
        .env("MULTIPASS_SERVER_ADDRESS", "unix:/nonexistent/socket")
        .env("MULTIPASS_ROOT_CERT", "/nonexistent/root.pem");
    outcome(&mut command).fails(2, NO_SERVICE, &["/nonexistent/socket"]);
}

#[test]
fn a_root_certificate_that_cannot_be_used_is_named() {
    let service = Service::start();
    let user = service.first_client();
    let garbage = service.sandbox.path("garbage.pem");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n")
        .expect("written");
    let empty = service.sandbox.path("empty.pem");
    fs::write(&empty, "").expect("written");
    let directory = service.sandbox.path("directory.pem");
    fs::create_dir(&directory).expect("made");
    let missing = service.sandbox.path("missing.pem");
    for path in [&missing, &garbage, &empty, &directory] {
        let path = path.display().to_string();
        let by_variable = outcome(user.command(&["list"]).env("MULTIPASS_ROOT_CERT", &path));
        let by_option = run(&user, &["list", "--root-cert", &path]);
        for outcome in [by_variable, by_option] {
            outcome.fails(2, "list failed: ", &["root certificate", &path, "--root-cert"]);
        }
    }
    run(&user, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_service_of_another_root_is_not_trusted() {
    let service = Service::start();
    let other =
        Daemon::start(&service.sandbox, "other", &DaemonOptions::default()).expect("a daemon that listens");
    let user = service.user("user");
    let path = other.root_certificate.display().to_string();
    for arguments in [&["list"][..], &["authenticate", "a secret"], &["set", "local.passphrase=a secret"]] {
        let mut command = user.command(arguments);
        let beginning = format!("{} failed: ", arguments[0]);
        outcome(command.env("MULTIPASS_ROOT_CERT", &path)).fails(
            2,
            &beginning,
            &["certificate", &path, "--root-cert"],
        );
    }
    assert_eq!(service.trusted(), 0);
}

#[test]
fn a_malformed_address_is_told_with_its_variable() {
    let service = Service::start();
    let user = service.user("user");
    for address in ["nonsense", "unix:relative", "ftp://host:21"] {
        let outcome = outcome(user.command(&["list"]).env("MULTIPASS_SERVER_ADDRESS", address));
        outcome.fails(2, "list failed: ", &["MULTIPASS_SERVER_ADDRESS", address]);
    }
}

#[test]
fn without_a_home_there_is_no_identity() {
    let service = Service::start();
    let user = service.user("user");
    outcome(user.command(&["list"]).env_remove("HOME")).fails(2, "list failed: ", &["HOME"]);
    assert_eq!(service.trusted(), 0);
}

#[test]
fn what_listens_there_may_be_no_service() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let daemon = Daemon::start(&sandbox, DAEMON, &DaemonOptions::default()).expect("a daemon");
    let user = Client::new(&sandbox, "user", None, &daemon).expect("a home");
    let path = sandbox.path("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    // It hangs up on whoever connects.
    let hanging_up = std::thread::spawn(move || listener.accept().map(drop));
    let address = format!("unix:{}", path.display());
    outcome(user.command(&["list"]).env("MULTIPASS_SERVER_ADDRESS", &address)).fails(
        2,
        "list failed: cannot connect to the multipass socket",
        &[&address],
    );
    hanging_up.join().expect("no panic").expect("a connection");
}

fn outcome(command: &mut std::process::Command) -> Outcome {
    Outcome::of(command, "").expect("the client runs")
}
