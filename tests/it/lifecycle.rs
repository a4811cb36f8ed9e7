//! The daemon's start, end and start again.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use e2e::{Daemon, DaemonOptions};
use nix::sys::signal::Signal;

use crate::support::{
    DAEMON, Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, member, outsider, run,
};

/// How long a daemon may take to end, whatever its clients do.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn clients_and_passphrase_outlive_the_daemon() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let service = Service::start();
        let (first, user, late) = (service.first_client(), service.user("user"), service.user("late"));
        run(&first, &["set", "local.passphrase=open sesame"]).prints("");
        run(&user, &["authenticate", "open sesame"]).prints("");
        let root = fs::read(&service.daemon.root_certificate).expect("a root certificate");

        let service = service.restart(signal);
        run(&first, &["get", "local.passphrase"]).prints("true\n");
        run(&user, &["list"]).prints(NO_INSTANCES);
        run(&late, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        run(&late, &["authenticate", "open sesame"]).prints("");
        assert_eq!(service.trusted(), 3);
        assert_eq!(fs::read(&service.daemon.root_certificate).expect("a root certificate"), root);
    }
}

#[test]
fn the_socket_of_a_service_with_clients_is_open_from_the_start() {
    let Some(admins) = administrators() else { return };
    let mut service = Service::start();
    let alice = service.user_as("alice", member(1001, &admins));
    run(&alice, &["set", "local.passphrase=open sesame"]).prints("");
    let bob = service.user_as("bob", outsider());
    run(&bob, &["authenticate", "open sesame"]).prints("");

    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        service = service.restart(signal);
        assert_eq!(service.socket(), (0, 0, 0o666));
        run(&bob, &["list"]).prints(NO_INSTANCES);
    }
}

#[test]
fn a_service_without_clients_still_awaits_the_first_after_a_restart() {
    let Some(admins) = administrators() else { return };
    let service = Service::start().restart(Signal::SIGTERM);
    assert_eq!(service.socket(), (0, admins.gid.as_raw(), 0o660));
    let alice = service.user_as("alice", member(1001, &admins));
    run(&alice, &["list"]).prints(NO_INSTANCES);
    assert!(service.trusts(&alice));
}

#[test]
fn a_signal_ends_the_daemon_in_good_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let service = Service::start();
        service.first_client();
        let socket = service.daemon.socket.clone();
        let start = Instant::now();
        let status = service.daemon.stop_with(signal).expect("an end");
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(start.elapsed() < BOUND, "{signal}: {:?}", start.elapsed());
        assert!(!socket.exists(), "{signal}");
    }
}

#[test]
fn a_silent_peer_does_not_hold_the_end_up() {
    let service = Service::start();
    let _silent: Vec<UnixStream> =
        (0..8).map(|_| UnixStream::connect(&service.daemon.socket).expect("a connection")).collect();
    // The last of them is accepted before this call is.
    service.first_client();
    let start = Instant::now();
    let status = service.daemon.stop().expect("an end");
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let service = Service::start();
    let first = service.first_client();
    let socket = service.daemon.socket.clone();
    let sandbox = {
        let Service { daemon, sandbox, .. } = service;
        daemon.stop_with(Signal::SIGKILL).expect("an end");
        sandbox
    };
    assert!(socket.exists(), "otherwise there was nothing to take over");
    let service = Service::start_in(sandbox, DaemonOptions::default());
    run(&first, &["list"]).prints(NO_INSTANCES);
    assert!(service.daemon.stop().expect("an end").success());
    assert!(!socket.exists());
}

#[test]
fn a_second_daemon_on_the_same_socket_or_data_is_refused() {
    let service = Service::start();
    let first = service.first_client();
    let socket = service.daemon.socket.display().to_string();
    let data = service.daemon.data.display().to_string();
    let same_socket = DaemonOptions { socket: Some(service.daemon.socket.clone()), ..Default::default() };
    for (name, options, parts) in [
        ("second", same_socket, [&socket, "cannot listen", "--address"]),
        (DAEMON, DaemonOptions::default(), [&data, "another multipassd", "MULTIPASS_STORAGE"]),
    ] {
        let mut second = Daemon::spawn(&service.sandbox, name, &options).expect("a program");
        assert_eq!(second.wait().expect("an end").code(), Some(1));
        let log = second.logged();
        let refusal = log.lines().find(|line| line.contains("ERROR")).expect("a message");
        for part in parts {
            assert!(refusal.contains(part), "no {part:?} in {refusal}");
        }
    }
    // The first one has lost nothing.
    run(&first, &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.trusted(), 1);
}
