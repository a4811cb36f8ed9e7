//! Broken ways to the service.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;

use e2e::{Account, DaemonOptions, Outcome};
use nix::sys::signal::Signal;

use super::{Diagnosis, Started, fix, shell, soon_content, stranger, without_sudo, write};
use crate::accounts::NamedAccount;
use crate::support::{Service, administrators, run};

#[test]
fn an_address_that_is_none() {
    let service = Service::start();
    let user = service.user("user").at("nonsense");
    let diagnosis = Diagnosis::of(&user);
    let command = diagnosis.blames("address", "MULTIPASS_SERVER_ADDRESS is not an address");
    assert_eq!(command, "unset MULTIPASS_SERVER_ADDRESS");
    for check in
        ["transport", "socket", "access", "connection", "root certificate", "server", "trust", "qemu"]
    {
        assert_eq!(diagnosis.status(check), "skipped", "{check}");
    }
    assert_eq!(diagnosis.find("server")["message"], "fix 'address' first");
}

#[test]
fn a_service_that_does_not_run() {
    for (signal, check, cause) in [
        (Signal::SIGTERM, "socket", "there is no socket"),
        // It leaves its socket behind.
        (Signal::SIGKILL, "connection", "nothing listens on"),
    ] {
        let mut service = Service::start();
        let user = service.first_client();
        service.daemon.signal(signal).expect("a daemon");
        service.daemon.wait().expect("an end");
        let command = Diagnosis::of(&user).blames(check, cause);
        let root = service.daemon.root_certificate.display();
        assert_eq!(command, format!("multipassd --address {} --root-cert {root}", service.daemon.address()));
        let _started = Started::by(&user, &service, &command);
        soon_content(&user);
    }
}

#[test]
fn a_file_in_the_sockets_place() {
    let mut service = Service::start();
    let user = service.first_client();
    service.daemon.signal(Signal::SIGTERM).expect("a daemon");
    service.daemon.wait().expect("an end");
    write(&service.daemon.socket, "mine");
    let command = Diagnosis::of(&user).blames("socket", "is not a socket");
    fix(&user, &service, &command);
    let command = Diagnosis::of(&user).blames("socket", "there is no socket");
    let _started = Started::by(&user, &service, &command);
    soon_content(&user);
}

#[test]
fn something_else_on_the_socket() {
    let service = Service::start();
    let user = service.first_client();
    let path = service.sandbox.path("other-socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let hanging_up = std::thread::spawn(move || listener.incoming().take(2).for_each(drop));
    let other = user.at(&format!("unix:{}", path.display()));
    let command = Diagnosis::of(&other).blames("connection", "cannot connect to the multipass socket");
    assert_eq!(command, "unset MULTIPASS_SERVER_ADDRESS");
    hanging_up.join().expect("no panic");
}

#[cfg(target_os = "linux")] // Elsewhere the system does not tell that a process is stopped.
#[test]
fn a_service_that_was_stopped() {
    let service = Service::start();
    let user = service.first_client();
    service.daemon.signal(Signal::SIGSTOP).expect("a daemon");
    let command = Diagnosis::of(&user).blames("connection", "which is stopped");
    assert_eq!(command, format!("kill -CONT {}", service.daemon.pid()));
    fix(&user, &service, &command);
    soon_content(&user);
}

#[test]
fn a_directory_that_lets_nobody_through() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    service.first_client();
    let user = service.user_as("user", stranger());
    let directory = service.daemon.socket.parent().expect("a directory");
    fs::set_permissions(directory, Permissions::from_mode(0o700)).expect("set");
    let command = Diagnosis::of(&user).blames("socket", "does not let you through");
    assert_eq!(command, format!("sudo chmod a+x {}", directory.display()));
    fix(&user, &service, &command);
    assert_eq!(Diagnosis::of(&user).status("socket"), "ok");
}

#[test]
fn a_user_who_is_not_in_the_sockets_group() {
    let Some(group) = administrators() else { return };
    let service = Service::start();
    let Some(alice) = NamedAccount::new(&service) else { return };
    let examine =
        || Diagnosis::by(&mut alice.command(&alice.client.command(&["doctor", "--format", "json"])));
    let command = examine().blames("access", &format!("you are not in its group {}", group.name));
    assert!(command.starts_with("sudo MULTIPASS_SERVER_ADDRESS="), "{command}");
    assert!(command.ends_with("multipass clients add --user mp-alice"), "{command}");
    let root = service.user("root");
    let outcome = alice.run(&shell(&root, &service, &without_sudo(&command)));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    examine().is_content();
}

#[test]
fn a_user_whose_session_is_older_than_the_membership() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    let Some(alice) = NamedAccount::new(&service) else { return };
    chown(&service.daemon.socket, None, Some(alice.account.gid)).expect("given");
    let before = Account { gid: 65534, ..alice.account.clone() };
    let session = service.user_as("session", before);
    let diagnosis = Diagnosis::by(&mut alice.command(&session.command(&["doctor", "--format", "json"])));
    let command = diagnosis.blames("access", "not in its group 4001, though your account is");
    assert_eq!(command, "newgrp 4001");
    assert!(diagnosis.find("access")["advice"].as_str().unwrap().contains("log out and in again"));
}

#[test]
fn a_service_of_another_user() {
    let Some(_) = administrators() else { return };
    let account = Account { uid: 1001, gid: 1001, groups: Vec::new() };
    let service = Service::start_with(DaemonOptions { account: Some(account), ..DaemonOptions::default() });
    let user = service.user_as("user", stranger());
    let command = Diagnosis::of(&user).blames("access", "for its owner 1001 alone");
    assert_eq!(command, "unset MULTIPASS_SERVER_ADDRESS");
}

/// Without QEMU the client works, and nothing can be launched.
#[test]
fn a_machine_without_qemu() {
    let Some(_) = administrators() else { return };
    let service = Service::start();
    let user = service.first_client();
    let plain = service.sandbox.path("plain");
    write(&plain, "no program");
    let hidden = "for program in /usr/bin/qemu-* /usr/local/bin/qemu-*; do \
                  if test -e $program; then mount --bind $PLAIN $program || exit; fi; done; exec \"$@\"";
    let command = user.command(&["doctor", "--format", "json"]);
    let mut command = e2e::through_shell("exec unshare --mount -- sh -c \"$SCRIPT\" sh \"$@\"", &command);
    command.env("SCRIPT", hidden).env("PLAIN", &plain).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    if Outcome::of(&mut command, "").expect("a shell").stdout.is_empty() {
        e2e::skip("needs the right to mount, to hide QEMU");
        return;
    }
    let diagnosis = Diagnosis::by(&mut command);
    diagnosis.is_content();
    let found = diagnosis.find("qemu");
    assert_eq!(found["status"], "warning", "{found}");
    assert!(found["message"].as_str().unwrap().contains("is missing on this machine"), "{found}");
    if std::path::Path::new("/usr/bin/apt-get").exists() {
        assert_eq!(found["command"], "apt-get install qemu-system-x86 qemu-utils");
    }
    assert_eq!(run(&user, &["doctor"]).code, 0);
}
