//! Enrolment of the first client: by which calls, by which not, and only one.

use std::fs;

use e2e::{Client, DaemonOptions};
use nix::sys::signal::Signal;

use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, VERSION, administrators, at_once, member, run,
};

#[test]
fn any_call_that_needs_trust_enrols_the_first_client() {
    for arguments in [
        &["list"][..],
        &["list", "--snapshots"],
        &["info"],
        &["get", "local.passphrase"],
        &["get", "--keys"],
        &["set", "local.passphrase=some words"],
        &["wait-ready"],
    ] {
        let service = Service::start();
        let user = service.user("user");
        assert_eq!(run(&user, arguments).code, 0, "{arguments:?}");
        assert_eq!(service.trusted(), 1, "{arguments:?}");
        assert!(service.trusts(&user), "{arguments:?}");
        run(&service.user("other"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
}

#[test]
fn a_call_that_fails_enrols_the_first_client_too() {
    let service = Service::start();
    let user = service.user("user");
    run(&user, &["info", "nosuch"]).fails(2, "info failed: instance \"nosuch\" does not exist", &[]);
    assert!(service.trusts(&user));
}

#[test]
fn authenticate_help_and_version_enrol_nobody() {
    let service = Service::start();
    let user = service.user("user");
    run(&user, &["authenticate", "guess"]).fails(2, "authenticate failed: ", &["No passphrase is set."]);
    assert!(user.certificate().exists());
    assert_eq!(run(&user, &["help"]).code, 0);
    assert_eq!(run(&user, &["help", "list"]).code, 0);
    assert_eq!(run(&user, &["list", "--help"]).code, 0);
    run(&user, &["version"]).prints(&format!("multipass   {VERSION}\n"));
    assert_eq!(service.trusted(), 0);

    // The first client is still awaited, and need not be the same one.
    let other = service.user("other");
    run(&other, &["list"]).prints(NO_INSTANCES);
    assert!(service.trusts(&other) && !service.trusts(&user));
}

#[test]
fn version_asks_the_service_and_still_enrols_nobody() {
    let verbosity = Some("debug");
    let service = Service::start_with(DaemonOptions { verbosity, ..DaemonOptions::default() });
    let user = service.user("user");
    run(&user, &["authenticate", "guess"]).fails(2, "authenticate failed: ", &[]);
    run(&user, &["version"]).prints(&format!("multipass   {VERSION}\n"));
    // Otherwise nothing was shown: it did reach the service.
    assert!(service.daemon.logged().contains("ping"), "{}", service.daemon.logged());
    assert_eq!(service.trusted(), 0);
}

#[test]
fn of_sixteen_users_at_once_one_is_the_first() {
    let Some(admins) = administrators() else { return };
    for round in 0..5 {
        let service = Service::start();
        let users: Vec<Client> = (0..16)
            .map(|number| service.user_as(&format!("user{number}"), member(2000 + number, &admins)))
            .collect();
        assert_one_is_first(&service, &users, round);
    }
}

#[test]
fn of_sixteen_homes_at_once_one_is_the_first() {
    for round in 0..5 {
        let service = Service::start();
        let users: Vec<Client> = (0..16).map(|number| service.user(&format!("user{number}"))).collect();
        assert_one_is_first(&service, &users, round);
    }
}

#[track_caller]
fn assert_one_is_first(service: &Service, users: &[Client], round: u32) {
    let outcomes = at_once(users.iter().map(|user| user.command(&["list"])));
    let (first, others): (Vec<_>, Vec<_>) =
        users.iter().zip(&outcomes).partition(|(_, outcome)| outcome.code == 0);
    assert_eq!((first.len(), others.len()), (1, 15), "round {round}: {outcomes:?}");
    for (user, outcome) in first {
        outcome.prints(NO_INSTANCES);
        assert!(service.trusts(user), "round {round}");
    }
    for (_, outcome) in others {
        outcome.fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
    assert_eq!(service.trusted(), 1, "round {round}");
}

#[test]
fn a_store_that_was_emptied_enrols_nobody() {
    let service = Service::start();
    service.first_client();
    let service = {
        fs::write(service.trust_file(), "").expect("emptied");
        service.restart(Signal::SIGTERM)
    };
    run(&service.user("other"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(service.trusted(), 0);
}
