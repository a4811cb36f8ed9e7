//! Strangers, restarts, revocation, and a service that is not there.

use nix::sys::signal::Signal;

use super::over_each_transport;
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, VERSION, run};

over_each_transport! {
    clients_and_passphrase_outlive_the_daemon
    a_revoked_client_is_a_stranger
    strangers_get_the_clients_version_and_help_alone
    a_service_that_has_stopped_cannot_be_reached
    a_service_under_another_root_is_not_believed
}

fn clients_and_passphrase_outlive_the_daemon(mut service: Service) {
    let (first, user, late) = (service.first_client(), service.user("user"), service.user("late"));
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    run(&user, &["authenticate", "open sesame"]).prints("");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        service = service.restart(signal);
        run(&first, &["get", "local.passphrase"]).prints("true\n");
        run(&user, &["list"]).prints(NO_INSTANCES);
        run(&late, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
    run(&late, &["authenticate", "open sesame"]).prints("");
    assert_eq!(service.trusted(), 3);
}

fn a_revoked_client_is_a_stranger(service: Service) {
    let (first, user) = (service.first_client(), service.user("user"));
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    run(&user, &["authenticate", "open sesame"]).prints("");
    let listed = run(&user, &["clients", "list", "--format", "csv"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (0, 3), "{listed:?}");
    let row = listed.stdout.lines().find(|line| line.contains("passphrase")).expect("the second client");
    let (fingerprint, _) = row.split_once(',').expect("columns");

    let revoked = run(&first, &["clients", "revoke", fingerprint]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&first, &["list"]).prints(NO_INSTANCES);
    run(&user, &["authenticate", "open sesame"]).prints("");
    run(&user, &["list"]).prints(NO_INSTANCES);
}

fn strangers_get_the_clients_version_and_help_alone(service: Service) {
    service.first_client();
    let stranger = service.user("stranger");
    run(&stranger, &["version"]).prints(&format!("multipass   {VERSION}\n"));
    assert_eq!(run(&stranger, &["help"]).code, 0);
    for arguments in [&["list"][..], &["info"], &["get", "local.driver"], &["set", "local.driver=qemu"]] {
        let beginning = format!("{} failed: ", arguments[0]);
        run(&stranger, arguments).fails(2, &beginning, NOT_AUTHENTICATED);
    }
    assert_eq!(service.trusted(), 1);
}

fn a_service_that_has_stopped_cannot_be_reached(service: Service) {
    let user = service.first_client();
    let address = service.daemon.address().to_owned();
    service.daemon.stop().expect("an end");
    run(&user, &["list"]).fails(2, "list failed: cannot connect to the multipass socket", &[&address]);
}

fn a_service_under_another_root_is_not_believed(service: Service) {
    let user = service.first_client();
    run(&user, &["set", "local.passphrase=open sesame"]).prints("");
    let other = service.another();
    std::fs::copy(&other.daemon.root_certificate, &service.daemon.root_certificate).expect("replaced");
    let root = service.daemon.root_certificate.display().to_string();
    let refused = run(&user, &["authenticate", "open sesame"]);
    refused.fails(2, "authenticate failed: the certificate of the service at ", &[&root, "--root-cert"]);
}
