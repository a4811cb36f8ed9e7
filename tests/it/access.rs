//! Who can reach the socket, and who can read the daemon's files: as real users and groups.

use std::process::Command;

use e2e::{Account, Client, DaemonOptions, Outcome, Sandbox};

use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, VERSION, administrators, below, member, mode,
    outsider, run,
};

const ROOT: u32 = 0;

#[test]
fn the_socket_is_the_groups_until_the_first_client_and_everyones_after() {
    let Some(admins) = administrators() else { return };
    let service = Service::start();
    assert_eq!(service.socket(), (ROOT, admins.gid.as_raw(), 0o660));

    run(&service.user_as("alice", member(1001, &admins)), &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.socket(), (ROOT, ROOT, 0o666));
}

#[test]
fn the_daemons_files_are_private_whatever_the_umask() {
    let Some(admins) = administrators() else { return };
    for umask in ["0", "022"] {
        let service = Service::start_with(DaemonOptions { umask: Some(umask), ..DaemonOptions::default() });
        assert_private(&service);
        let alice = service.user_as("alice", member(1001, &admins));
        run(&alice, &["set", "local.passphrase=some words"]).prints("");
        assert_private(&service);
        assert!(service.trust_file().exists());
    }
}

/// Directories 0700, files 0600; only the root certificate is for everyone.
#[track_caller]
fn assert_private(service: &Service) {
    let data = &service.daemon.data;
    assert_eq!(mode(data), 0o700);
    let files = below(data);
    assert!(files.iter().any(|path| path.ends_with("certificates/localhost_root_key.pem")), "{files:?}");
    for path in files {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert_eq!(mode(&service.daemon.root_certificate), 0o644);
}

#[test]
fn an_outsider_is_denied_and_told_what_to_do() {
    let Some(admins) = administrators() else { return };
    let service = Service::start();
    let mallory = service.user_as("mallory", outsider());
    for (arguments, beginning) in [
        (&["list"][..], "list failed: permission denied"),
        (&["get", "local.passphrase"], "get failed: permission denied"),
        (&["authenticate", "guess"], "authenticate failed: permission denied"),
        (&["wait-ready"], "wait-ready failed: permission denied"),
    ] {
        let group = format!("the group '{}'", admins.name);
        run(&mallory, arguments).fails(2, beginning, &[&group, "Ask an administrator"]);
    }
    run(&mallory, &["version"]).prints(&format!("multipass   {VERSION}\n"));
    assert_eq!(service.trusted(), 0);
    assert_eq!(service.socket(), (ROOT, admins.gid.as_raw(), 0o660));
}

#[test]
fn root_and_members_of_the_group_may_be_first() {
    let Some(admins) = administrators() else { return };
    let gid = admins.gid.as_raw();
    for account in [
        member(1001, &admins),
        Account { uid: 1002, gid, groups: Vec::new() },
        Account { uid: 1003, gid: 1003, groups: vec![100, gid, 65534] },
        Account { uid: ROOT, gid: ROOT, groups: Vec::new() },
    ] {
        let service = Service::start();
        let user = service.user_as("user", account);
        run(&user, &["list"]).prints(NO_INSTANCES);
        assert!(service.trusts(&user));
        assert_eq!(service.trusted(), 1);
    }
}

#[test]
fn another_user_authenticates_with_the_passphrase_of_the_first() {
    let Some(admins) = administrators() else { return };
    let service = Service::start();
    let alice = service.user_as("alice", member(1001, &admins));
    run(&alice, &["list"]).prints(NO_INSTANCES);

    let bob = service.user_as("bob", outsider());
    assert_refused(&bob);
    run(&bob, &["authenticate", "open sesame"]).fails(2, "authenticate failed: ", &["No passphrase is set."]);

    run(&alice, &["set", "local.passphrase=open sesame"]).prints("");
    run(&bob, &["authenticate", "open barley"]).fails(
        2,
        "authenticate failed: Passphrase is not correct.",
        &[],
    );
    assert_refused(&bob);
    assert_eq!(service.trusted(), 1);

    run(&bob, &["authenticate", "open sesame"]).prints("");
    run(&bob, &["list"]).prints(NO_INSTANCES);
    run(&bob, &["get", "local.passphrase"]).prints("true\n");
    assert_eq!(service.trusted(), 2);
    assert!(service.trusts(&alice) && service.trusts(&bob));
    assert_eq!(service.socket(), (ROOT, ROOT, 0o666));
}

/// Every command that needs a trusted client is refused with the way out.
#[track_caller]
fn assert_refused(user: &Client) {
    for arguments in [
        &["list"][..],
        &["list", "--snapshots"],
        &["info"],
        &["info", "primary"],
        &["get", "local.passphrase"],
        &["get", "--keys"],
        &["set", "local.passphrase=mine"],
        &["set", "local.passphrase="],
        &["wait-ready"],
    ] {
        run(user, arguments).fails(2, &format!("{} failed: ", arguments[0]), NOT_AUTHENTICATED);
    }
}

#[test]
fn membership_of_the_group_is_not_enough_after_the_first() {
    let Some(admins) = administrators() else { return };
    let service = Service::start();
    run(&service.user_as("alice", member(1001, &admins)), &["list"]).prints(NO_INSTANCES);
    for (name, account) in [
        ("bob", member(1002, &admins)),
        ("root", Account { uid: ROOT, gid: ROOT, groups: vec![admins.gid.as_raw()] }),
    ] {
        run(&service.user_as(name, account), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
    assert_eq!(service.trusted(), 1);
}

#[test]
fn a_socket_that_cannot_be_given_to_the_group_ends_the_daemon() {
    let Some(admins) = administrators() else { return };
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let (socket, root) = (sandbox.path("socket"), sandbox.path("root.pem"));
    // Root without the capability to change owners.
    let mut command = Command::new("setpriv");
    command
        .args(["--clear-groups", "--bounding-set", "-chown", "--"])
        .arg(sandbox.path("multipassd"))
        .arg("--address")
        .arg(format!("unix:{}", socket.display()))
        .arg("--root-cert")
        .arg(&root)
        .env("MULTIPASS_STORAGE", sandbox.path("storage"));
    assert_ne!(admins.gid.as_raw(), ROOT, "root could give its own group away");
    let path = socket.display().to_string();
    Outcome::of(&mut command, "").expect("the daemon runs").fails(1, "", &["owner", &path]);
    assert!(!socket.exists());
}

#[test]
fn a_users_own_daemon_keeps_its_socket_closed_to_others() {
    let Some(admins) = administrators() else { return };
    let owner = Account { uid: 1001, gid: 1001, groups: Vec::new() };
    let service =
        Service::start_with(DaemonOptions { account: Some(owner.clone()), ..DaemonOptions::default() });
    assert_eq!(service.socket(), (1001, 1001, 0o600));

    run(&service.user_as("owner", owner), &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.socket(), (1001, 1001, 0o600));
    assert_private(&service);
    for (name, account) in [("admin", member(1002, &admins)), ("mallory", outsider())] {
        let denied = run(&service.user_as(name, account), &["list"]);
        denied.fails(2, "list failed: permission denied", &["1001"]);
    }
}
