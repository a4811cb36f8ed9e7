//! `multipassd recover`, beside a running daemon and without one.

use std::fs;
use std::time::Duration;

use e2e::{Account, Client, DaemonOptions, Outcome, wait_until};

use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, outsider, run};

const DEADLINE: Duration = Duration::from_secs(20);

/// A user whose certificate is not trusted, and its file.
fn stranger(service: &Service) -> (Client, String) {
    let user = service.user("user");
    run(&user, &["authenticate", "x"]).fails(2, "authenticate failed: ", &[]);
    let file = user.certificate().display().to_string();
    (user, file)
}

#[track_caller]
fn is_let_in(user: &Client) {
    wait_until("the daemon notices", DEADLINE, || run(user, &["list"]).code == 0).unwrap();
}

#[test]
fn a_certificate_is_added_while_the_daemon_runs() {
    let service = Service::start();
    service.first_client();
    let (user, file) = stranger(&service);
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let outcome = service.recover(None, &["--add-cert", &file]);
    assert_eq!((outcome.code, outcome.stdout.ends_with(" is trusted.\n")), (0, true), "{outcome:?}");
    is_let_in(&user);
}

#[test]
fn a_certificate_is_added_while_the_daemon_is_stopped() {
    let service = Service::start();
    service.first_client();
    let (user, file) = stranger(&service);
    let service = service.meanwhile(|service| {
        assert_eq!(service.recover(None, &["--add-cert", &file]).code, 0);
    });
    run(&user, &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.trusted(), 2);
}

#[test]
fn the_first_client_is_awaited_again() {
    for stopped in [false, true] {
        let mut service = Service::start();
        service.first_client();
        let await_first = |service: &Service| {
            fs::remove_file(service.trust_file()).unwrap();
            let outcome = service.recover(None, &["--first-client"]);
            assert_eq!(
                (outcome.code, outcome.stdout.contains("first client is awaited")),
                (0, true),
                "{outcome:?}"
            );
        };
        match stopped {
            false => await_first(&service),
            true => service = service.meanwhile(await_first),
        }
        let user = service.user("user");
        is_let_in(&user);
        assert_eq!(service.trusted(), 1);
        run(&service.user("other"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
}

#[test]
fn nothing_is_recovered_where_nothing_is_lost_or_known() {
    let service = Service::start();
    let first = service.first_client();
    service.recover(None, &["--first-client"]).fails(1, "", &["1 clients are trusted", "--add-cert"]);
    service.recover(None, &[]).fails(1, "", &["--first-client|--add-cert"]);
    let key = first.key().display().to_string();
    service.recover(None, &["--add-cert", &key]).fails(1, "", &[&key, "does not hold"]);
    service.recover(None, &["--add-cert", "/nowhere.pem"]).fails(1, "", &["/nowhere.pem"]);
    assert_eq!(service.trusted(), 1);
    run(&first, &["list"]).prints(NO_INSTANCES);

    let nowhere = service.sandbox.path("nowhere");
    let mut command = Account::command(None, &service.sandbox.path("multipassd"));
    command.args(["recover", "--first-client"]).env("MULTIPASS_STORAGE", &nowhere);
    Outcome::of(&mut command, "").unwrap().fails(1, "", &["no daemon's data", "MULTIPASS_STORAGE"]);
    assert!(!nowhere.exists());
}

#[test]
fn another_user_recovers_nothing() {
    if !e2e::is_root() {
        e2e::skip("needs root, to act as several users");
        return;
    }
    let service = Service::start_with(DaemonOptions::default());
    service.first_client();
    let outcome = service.recover(Some(&outsider()), &["--first-client"]);
    outcome.fails(1, "", &["run this as the user who runs multipassd"]);
}
