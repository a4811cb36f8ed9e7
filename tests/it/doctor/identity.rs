//! Certificates and keys of this client that cannot be used, or not safely.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{Diagnosis, fix, stranger};
use crate::support::{Service, administrators, mode, run};

#[test]
fn a_key_that_belongs_to_another_certificate() {
    let service = Service::start();
    let user = service.first_client();
    let other = service.user("other");
    assert_eq!(run(&other, &["clients", "own-certificate"]).code, 0);
    fs::copy(other.key(), user.key()).expect("copied");
    let command = Diagnosis::of(&user)
        .blames("client certificate", "the private key does not belong to the certificate");
    let directory = user.identity();
    assert_eq!(command, format!("mv {0} {0}.old", directory.display()));
    fix(&user, &service, &command);
    // Then there is none, which has to be trusted first.
    let diagnosis = Diagnosis::of(&user);
    assert_eq!(diagnosis.status("client certificate"), "ok");
    let command = diagnosis.blames("trust", "does not trust");
    if e2e::is_root() {
        fix(&user, &service, &command);
        Diagnosis::of(&user).is_content();
    }
}

#[test]
fn a_certificate_without_its_key() {
    let service = Service::start();
    let user = service.first_client();
    fs::remove_file(user.key()).expect("removed");
    let diagnosis = Diagnosis::of(&user);
    let found = diagnosis.find("client certificate");
    assert_eq!(found["status"], "warning");
    assert!(found["message"].as_str().unwrap().contains("is of no use without its key"), "{found}");
    assert_eq!(diagnosis.status("client key"), "skipped");
    diagnosis.blames("trust", "does not trust");
    assert!(!user.key().exists(), "none was made");
}

#[test]
fn a_key_that_others_can_read() {
    let service = Service::start();
    let user = service.first_client();
    fs::set_permissions(user.key(), Permissions::from_mode(0o744)).expect("set");
    let diagnosis = Diagnosis::of(&user);
    diagnosis.is_content();
    let found = diagnosis.find("client key");
    assert_eq!(found["status"], "warning");
    assert!(found["message"].as_str().unwrap().contains("its mode is 0744"), "{found}");
    assert_eq!(mode(&user.key()), 0o744, "the doctor changes nothing");
    let command = found["command"].as_str().unwrap();
    assert_eq!(command, format!("chmod 600 {}", user.key().display()));
    fix(&user, &service, command);
    assert_eq!(Diagnosis::of(&user).status("client key"), "ok");
}

#[test]
fn a_home_that_is_another_users() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    service.first_client();
    let user = service.user("user");
    std::os::unix::fs::chown(&user.home, Some(4001), Some(4001)).expect("given");
    let command = Diagnosis::of(&user)
        .blames("client certificate", "belongs to another user, and root keeps no client certificate there");
    assert_eq!(command, "sudo -H multipass doctor");
}

/// As `sudo` may have made them.
#[test]
fn files_that_are_roots() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    service.first_client();
    let user = service.user_as("user", stranger());
    assert_eq!(run(&user, &["clients", "own-certificate"]).code, 0);
    for file in [user.key(), user.certificate()] {
        std::os::unix::fs::chown(file, Some(0), Some(0)).expect("given");
    }
    let command = Diagnosis::of(&user).blames("client certificate", "Permission denied");
    let directory = user.identity();
    assert!(command.starts_with("sudo chown -R "), "{command}");
    assert!(command.ends_with(&format!(" {}", directory.display())), "{command}");
    fix(&user, &service, &command.replace("NAME", "65534"));
    assert_eq!(Diagnosis::of(&user).status("client certificate"), "ok");
}

#[test]
fn no_home() {
    let service = Service::start();
    let user = service.user("user");
    let mut command = user.command(&["doctor", "--format", "json"]);
    let command = Diagnosis::by(command.env_remove("HOME")).blames("client certificate", "HOME is not set");
    assert_eq!(command, "export HOME=~");
}
