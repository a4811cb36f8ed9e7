//! A service that is not known for the right one, or that does not trust this client.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use e2e::{Client, Daemon, DaemonOptions, Via};

use super::{Diagnosis, fix, shell, soon_content, stranger, without_sudo, write};
use crate::accounts::NamedAccount;
use crate::support::{Expected, NO_INSTANCES, Service, administrators, run, run_with_input};

#[cfg(target_os = "linux")] // Elsewhere the system does not tell what listens.
#[test]
fn a_root_certificate_that_is_missing_damaged_or_anothers() {
    let service = Service::start();
    let user = service.first_client();
    let other = Daemon::start(&service.sandbox, "other", &DaemonOptions::default()).expect("a daemon");
    let other = fs::read_to_string(&other.root_certificate).expect("a root certificate");
    let root = &service.daemon.root_certificate;
    for (text, check, cause) in [
        (None, "root certificate", "is missing"),
        (Some("garbage"), "root certificate", "holds no PEM certificate"),
        (Some(other.as_str()), "server", "is not valid under the root certificate"),
    ] {
        fs::remove_file(root).expect("removed");
        if let Some(text) = text {
            write(root, text);
        }
        let command = Diagnosis::of(&user).blames(check, cause);
        assert_eq!(command, format!("kill -HUP {}", service.daemon.pid()));
        fix(&user, &service, &command);
        soon_content(&user);
    }
}

#[test]
fn a_root_certificate_that_cannot_be_read() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    service.first_client();
    let user = service.user_as("user", stranger());
    let root = &service.daemon.root_certificate;
    fs::set_permissions(root, Permissions::from_mode(0o600)).expect("set");
    let command = Diagnosis::of(&user).blames("root certificate", "Permission denied");
    assert_eq!(command, format!("sudo chmod a+r {}", root.display()));
    fix(&user, &service, &command);
    assert_eq!(Diagnosis::of(&user).status("server"), "ok");
}

#[test]
fn a_root_that_is_named_twice_or_wrongly() {
    let service = Service::start();
    let user = service.user("user");
    let mut command = user.command(&["doctor", "--format", "json"]);
    let command =
        Diagnosis::by(command.env("MULTIPASS_FINGERPRINT", "12")).blames("root certificate", "are set");
    assert_eq!(command, "unset MULTIPASS_FINGERPRINT");
}

#[test]
fn a_client_that_has_to_authenticate() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let user = service.user_as("user", stranger());
    let diagnosis = Diagnosis::of(&user);
    let command = diagnosis.blames("trust", "does not trust this client");
    assert_eq!(command, "multipass authenticate");
    let said = diagnosis.find("passphrase")["message"].as_str().unwrap();
    assert!(said.starts_with("it is set"), "{said}");
    // Looking is no guess, however often.
    for _ in 0..5 {
        Diagnosis::of(&user).blames("trust", "");
    }
    run_with_input(&user, &["authenticate"], "open sesame\n").prints("");
    Diagnosis::of(&user).is_content();
    run(&user, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_client_that_has_no_passphrase_to_authenticate_with() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    service.first_client();
    let Some(alice) = NamedAccount::new(&service) else { return };
    let examine =
        || Diagnosis::by(&mut alice.command(&alice.client.command(&["doctor", "--format", "json"])));
    let diagnosis = examine();
    let command = diagnosis.blames("trust", "has no passphrase");
    assert!(command.ends_with("multipass clients add --user mp-alice"), "{command}");
    let said = diagnosis.find("passphrase")["message"].as_str().unwrap();
    assert!(said.starts_with("it is not set"), "{said}");
    let root = service.user("root");
    let outcome = alice.run(&shell(&root, &service, &without_sudo(&command)));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    examine().is_content();
}

/// Linux takes 0.0.0.0 for an address of its own to connect to, and nobody takes it for one of loopback.
#[cfg(target_os = "linux")]
#[test]
fn a_service_on_another_machine_that_is_unknown_or_has_changed() {
    let service = Service::start_with(DaemonOptions { also: vec![Via::Tcp], ..DaemonOptions::default() });
    let first = service.first_client();
    let address = service.daemon.address_over(Via::Tcp).expect("an address").replace("localhost", "0.0.0.0");
    let user = Client::elsewhere(&service.sandbox, "first", &address).expect("a home");
    assert_eq!(first.home, user.home, "the same client, from elsewhere");

    let diagnosis = Diagnosis::of(&user);
    assert_eq!(diagnosis.blames("root certificate", "not trusted yet"), "multipass list");
    assert_eq!((diagnosis.status("socket"), diagnosis.status("qemu")), ("skipped", "skipped"));
    assert!(!user.known_servers().exists());

    fs::create_dir_all(user.known_servers().parent().expect("a directory")).expect("made");
    write(&user.known_servers(), &format!("{address} {}\n", "1".repeat(64)));
    let command = Diagnosis::of(&user).blames("server", "presents another root than before");
    assert_eq!(command, "sudo multipassd fingerprint");
    let printed = service.fingerprint();
    fix(&user, &service, &format!("multipass --fingerprint {printed} list"));
    Diagnosis::of(&user).is_content();
}
