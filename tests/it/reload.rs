//! Changes to the trust file by hand, while the daemon runs.

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use e2e::{Client, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, run};

const DEADLINE: Duration = Duration::from_secs(20);

/// A user with a certificate who is not trusted.
fn stranger(service: &Service, name: &str) -> Client {
    let user = service.user(name);
    run(&user, &["authenticate", "x"]).fails(2, "authenticate failed: ", &[]);
    user
}

fn hang_up(service: &Service) {
    kill(Pid::from_raw(service.daemon.pid().try_into().unwrap()), Signal::SIGHUP).unwrap();
}

/// Appends as `cat cert.pem >> …` does.
fn append(service: &Service, text: &str) {
    File::options().append(true).open(service.trust_file()).unwrap().write_all(text.as_bytes()).unwrap();
}

#[track_caller]
fn becomes(user: &Client, code: i32) {
    wait_until("the daemon notices", DEADLINE, || run(user, &["list"]).code == code).unwrap();
}

#[test]
fn a_client_added_by_hand_is_let_in() {
    for signal in [false, true] {
        let service = Service::start();
        let first = service.first_client();
        let user = stranger(&service, "user");
        run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        append(&service, &fs::read_to_string(user.certificate()).unwrap());
        if signal {
            hang_up(&service);
        }
        becomes(&user, 0);
        run(&first, &["list"]).prints(NO_INSTANCES);
        assert_eq!(service.trusted(), 2);
    }
}

#[test]
fn a_client_removed_by_hand_is_refused() {
    let service = Service::start();
    let first = service.first_client();
    let user = stranger(&service, "user");
    append(&service, &fs::read_to_string(user.certificate()).unwrap());
    becomes(&user, 0);
    let certificate = fs::read_to_string(user.certificate()).unwrap();
    let text = fs::read_to_string(service.trust_file()).unwrap().replace(certificate.trim(), "");
    fs::write(service.trust_file(), text).unwrap();
    becomes(&user, 2);
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&first, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_store_that_is_emptied_shuts_the_gate_and_enrols_nobody() {
    let Some(group) = administrators() else { return };
    let service = Service::start();
    let first = service.first_client();
    assert_eq!(service.socket(), (0, 0, 0o666));
    fs::write(service.trust_file(), "").unwrap();
    hang_up(&service);
    wait_until("the gate shuts", DEADLINE, || service.socket() == (0, group.gid.as_raw(), 0o660)).unwrap();
    for user in [&first, &service.user("other")] {
        run(user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
    // The way back: root appends a certificate.
    fs::write(service.trust_file(), fs::read_to_string(first.certificate()).unwrap()).unwrap();
    wait_until("the gate opens", DEADLINE, || service.socket() == (0, 0, 0o666)).unwrap();
    run(&first, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn what_is_damaged_or_unreadable_takes_nobody_away() {
    let service = Service::start();
    let first = service.first_client();
    append(&service, "-----BEGIN CERTIFICATE-----\nMIIB");
    hang_up(&service);
    wait_until("the log tells", DEADLINE, || {
        service.daemon.logged().contains("read the trusted clients again")
    })
    .unwrap();
    run(&first, &["list"]).prints(NO_INSTANCES);

    // Something that cannot be read, even by root.
    let aside = service.daemon.data.join("aside");
    fs::rename(service.trust_file(), &aside).unwrap();
    fs::create_dir(service.trust_file()).unwrap();
    hang_up(&service);
    wait_until("the log tells", DEADLINE, || service.daemon.logged().contains("stay as they were")).unwrap();
    run(&first, &["list"]).prints(NO_INSTANCES);
}
