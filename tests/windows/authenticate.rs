//! Who is let in: whom the installer enrols, and who knows the passphrase. Nobody for being first.

use crate::support::{Service, wait_until};

pub(crate) const NO_INSTANCES: &str = "No instances found.\n";
pub(crate) const NOT_AUTHENTICATED: &[&str] = &[
    "not authenticated with the Multipass service",
    "Please authenticate before proceeding",
    "multipass authenticate",
];

#[test]
fn the_installer_is_enrolled_and_others_need_the_passphrase() {
    let service = Service::start();
    service.run("mallory", &["list"]).fails(2, NOT_AUTHENTICATED);
    // A service that ran unauthenticated, and its upgrade.
    let enrolled = service.administer("alice", &["enroll-installer"]);
    assert_eq!((enrolled.code, &*enrolled.stderr), (Some(0), ""), "{enrolled:?}");
    assert!(enrolled.stdout.contains(" is the first one, and trusted: "), "{enrolled:?}");
    wait_until("the daemon notices", || service.run("alice", &["list"]).code == Some(0));
    service.run("alice", &["list"]).answers(NO_INSTANCES);
    let again = service.administer("alice", &["enroll-installer"]);
    assert!(again.stdout.contains(" is trusted already: "), "{again:?}");
    let other = service.administer("mallory", &["enroll-installer"]);
    assert!(
        other.stdout.starts_with("Clients were enrolled before, so nobody was enrolled now."),
        "{other:?}"
    );
    service.run("mallory", &["list"]).fails(2, NOT_AUTHENTICATED);

    service.run("bob", &["authenticate", "open sesame"]).fails(2, &["No passphrase is set."]);
    service.run("alice", &["set", "local.passphrase=offne \u{df}esam"]).prints("");
    service.run("alice", &["get", "local.passphrase"]).prints("true\n");
    let wrong = service.run_with_input("bob", &["authenticate"], "offne sesam\r\n");
    wrong.fails(2, &["Passphrase is not correct."]);
    service.run("bob", &["list"]).fails(2, NOT_AUTHENTICATED);
    service.run_with_input("bob", &["authenticate"], "offne \u{df}esam\r\n").prints("");
    service.run("carol", &["authenticate", "offne \u{df}esam"]).prints("");

    let service = service.restart();
    for name in ["alice", "bob", "carol"] {
        service.run(name, &["list"]).answers(NO_INSTANCES);
    }
    service.run("mallory", &["list"]).fails(2, NOT_AUTHENTICATED);
}

#[test]
fn a_port_in_use_is_told() {
    let service = Service::start();
    let rival = service.rival();
    rival.fails(1, &["cannot listen on ", "a multipass daemon already listens on "]);
}
