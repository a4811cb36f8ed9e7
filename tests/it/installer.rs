//! `multipassd enroll-installer`, beside a running daemon and without one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use e2e::{Account, Client, DaemonOptions, Outcome, Via, wait_until};

use crate::accounts::NamedAccount;
use crate::network::turns_strangers_away;
use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, at_once, below, mode, outsider, run,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// The installer's command on the service's data, with the environment that root has.
fn command(service: &Service, arguments: &[&str]) -> Command {
    let mut command = Account::command(None, &service.sandbox.path("multipassd"));
    let storage = service.daemon.data.parent().expect("a directory");
    command.arg("enroll-installer").args(arguments).env("MULTIPASS_STORAGE", storage);
    command.env_remove("SUDO_USER").env_remove("PKEXEC_UID");
    command
}

/// The same, run by the account through `sudo`.
#[track_caller]
fn by_sudo(service: &Service, alice: &NamedAccount) -> Outcome {
    alice.run(command(service, &[]).env("SUDO_USER", NamedAccount::NAME))
}

/// A service without clients, and an account with a name.
fn service() -> Option<(Service, NamedAccount)> {
    administrators()?;
    let service = Service::start();
    let alice = NamedAccount::new(&service)?;
    Some((service, alice))
}

#[track_caller]
fn is_let_in(user: &Client) {
    wait_until("the daemon notices", DEADLINE, || run(user, &["list"]).code == 0).unwrap();
}

#[track_caller]
fn says(outcome: &Outcome, beginning: &str) {
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.starts_with(beginning), "no {beginning:?}: {outcome:?}");
}

const FIRST: &str = "The client of mp-alice is the first one, and trusted: ";
const ALREADY: &str = "The client of mp-alice is trusted already: ";
const BEFORE: &str = "Clients were enrolled before, so nobody was enrolled now. ";

#[test]
fn the_installing_user_is_let_in_while_the_daemon_runs() {
    let Some((service, alice)) = service() else { return };
    let outcome = by_sudo(&service, &alice);
    says(&outcome, FIRST);
    is_let_in(&alice.client);
    // The socket is open to everyone, who must authenticate.
    assert_eq!(service.socket(), (0, 0, 0o666));
    run(&service.user_as("other", outsider()), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&service.user("root"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);

    // The user made what is the user's.
    for path in below(&alice.client.home) {
        let found = fs::symlink_metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!((found.uid(), found.gid(), mode(&path)), (4001, 4001, expected), "{}", path.display());
    }
    let fingerprint = outcome.stdout.trim_end().trim_end_matches('.').rsplit(' ').next().unwrap();
    let listed = run(&alice.client, &["clients", "--format", "csv"]);
    assert!(listed.stdout.contains(&format!("{fingerprint},mp-alice,")), "{listed:?}");
    assert!(listed.stdout.contains(",installer,"), "{listed:?}");
    let audit = fs::read_to_string(service.daemon.data.join("audit/grants.jsonl")).unwrap();
    let entry =
        format!(r#""event":"installer_enrolled","by":"administrator","from":null,"client":"{fingerprint}""#);
    assert!(audit.lines().count() == 1 && audit.contains(&entry), "{audit}");

    // Again, as an upgrade does: the same one, and nobody else.
    let key = fs::read(alice.client.key()).unwrap();
    says(&by_sudo(&service, &alice), &format!("{ALREADY}{fingerprint}."));
    assert_eq!(fs::read(alice.client.key()).unwrap(), key);
    assert_eq!(service.trusted(), 1);
}

/// Where nobody is the first for having called first.
#[test]
fn over_tcp_the_installing_user_alone_is_let_in() {
    if administrators().is_none() {
        return;
    }
    let service = Service::start_with(DaemonOptions { via: Via::Tcp, ..DaemonOptions::default() });
    let Some(alice) = NamedAccount::new(&service) else { return };
    turns_strangers_away(&service);
    says(&by_sudo(&service, &alice), FIRST);
    // With no input, and so without a prompt.
    is_let_in(&alice.client);
    run(&alice.client, &["list"]).prints(NO_INSTANCES);
    for (name, account) in [("other", Some(outsider())), ("root", None)] {
        let other = account.map_or_else(|| service.user(name), |account| service.user_as(name, account));
        run(&other, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
    assert_eq!(service.trusted(), 1);
    assert!(service.trusts(&alice.client));
}

#[test]
fn the_installing_user_is_let_in_by_a_daemon_that_starts_later() {
    let Some((service, alice)) = service() else { return };
    let service = service.meanwhile(|service| {
        // As before the daemon's first start: nothing is there.
        fs::remove_dir_all(&service.daemon.data).unwrap();
        let named = alice.run(&command(service, &["--user", NamedAccount::NAME]));
        says(&named, FIRST);
        assert_eq!(mode(&service.daemon.data), 0o700);
    });
    // The root certificate is another one since.
    run(&alice.client, &["list"]).prints(NO_INSTANCES);
    assert_eq!(service.trusted(), 1);
}

#[test]
fn who_was_let_in_before_stays_the_first() {
    let Some((service, alice)) = service() else { return };
    let first = service.first_client();
    for user in [Some(NamedAccount::NAME), None] {
        let arguments: &[&str] = if user.is_some() { &["--user", NamedAccount::NAME] } else { &[] };
        let outcome = alice.run(&command(&service, arguments));
        says(&outcome, BEFORE);
        let name = user.unwrap_or("NAME");
        assert!(outcome.stdout.contains("One is trusted"), "{outcome:?}");
        assert!(outcome.stdout.contains(&format!("clients add --user {name}'")), "{outcome:?}");
    }
    // Nothing was made for nothing.
    assert_eq!(fs::read_dir(&alice.client.home).unwrap().count(), 0);
    assert_eq!(service.trusted(), 1);

    // A client that the user has already is no trusted one.
    run(&alice.client, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert!(alice.client.certificate().exists());
    says(&by_sudo(&service, &alice), BEFORE);

    // Also when nobody is left.
    let listed = run(&first, &["clients", "--format", "csv"]);
    let fingerprint = listed.stdout.lines().nth(1).and_then(|line| line.split(',').next()).unwrap();
    assert_eq!(run(&first, &["clients", "revoke", "--yes", fingerprint]).code, 0);
    let outcome = by_sudo(&service, &alice);
    says(&outcome, BEFORE);
    assert!(outcome.stdout.contains("No client is trusted now"), "{outcome:?}");
    fs::remove_file(service.trust_file()).unwrap();
    says(&by_sudo(&service, &alice), BEFORE);
    assert_eq!(service.trusted(), 0);
    run(&service.user("root"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
}

#[test]
fn of_two_at_once_one_enrols() {
    for _ in 0..5 {
        let Some((service, alice)) = service() else { return };
        let of_alice = || {
            let mut command = command(&service, &[]);
            command.env("SUDO_USER", NamedAccount::NAME);
            alice.command(&command)
        };
        let outcomes = at_once([of_alice(), of_alice()]);
        let mut said: Vec<_> = outcomes.iter().map(|outcome| outcome.stdout.starts_with(FIRST)).collect();
        said.sort_unstable();
        assert_eq!(said, [false, true], "{outcomes:?}");
        let other = outcomes.iter().find(|outcome| !outcome.stdout.starts_with(FIRST)).unwrap();
        says(other, ALREADY);
        assert_eq!(service.trusted(), 1);
        let audit = fs::read_to_string(service.daemon.data.join("audit/grants.jsonl")).unwrap();
        assert_eq!(audit.lines().count(), 1, "{audit}");
    }
}

/// Whoever calls first and the installer, at once.
#[test]
fn of_an_installer_and_a_caller_one_is_first() {
    for _ in 0..5 {
        let Some((service, alice)) = service() else { return };
        let caller = service.user("caller");
        let mut installer = command(&service, &[]);
        installer.env("SUDO_USER", NamedAccount::NAME);
        let outcomes = at_once([alice.command(&installer), caller.command(&["list"])]);
        assert_eq!(service.trusted(), 1, "{outcomes:?}");
        let enrolled = outcomes[0].stdout.starts_with(FIRST);
        let trusted = alice.client.certificate().exists() && service.trusts(&alice.client);
        assert_eq!(enrolled, trusted, "{outcomes:?}");
        assert_eq!(outcomes[1].code == 0, !enrolled, "{outcomes:?}");
    }
}

#[test]
fn what_is_not_known_or_cannot_be_made_enrols_nobody() {
    let Some((service, alice)) = service() else { return };
    for (sudo, pkexec) in [(None, None), (Some("root"), None), (None, Some("0"))] {
        let mut command = command(&service, &[]);
        command.envs(sudo.map(|user| ("SUDO_USER", user)));
        command.envs(pkexec.map(|user| ("PKEXEC_UID", user)));
        alice.run(&command).fails(1, "", &["it is not known who installs", "--user alice"]);
    }
    for arguments in [&["--user", "mp-nobody-at-all"][..], &["--user", ""], &["--user", "--help"]] {
        assert_eq!(alice.run(&command(&service, arguments)).code, 1, "{arguments:?}");
    }
    // pkexec tells the number.
    let mut by_number = command(&service, &[]);
    by_number.env("PKEXEC_UID", "4001");

    // What the user plants is met with the user's rights.
    let (place, secret) = (service.sandbox.path("place"), service.sandbox.path("secret"));
    fs::create_dir(&place).unwrap();
    fs::write(&secret, "not yours").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&place, alice.client.home.join(".local")).unwrap();
    let parts = ["cannot get the client certificate of mp-alice", "Permission denied", "home directory"];
    alice.run(&by_number).fails(1, "", &parts);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    fs::remove_file(alice.client.home.join(".local")).unwrap();
    assert_eq!(service.trusted(), 0);

    // A program of others is not run as root.
    let program = service.sandbox.path("multipass");
    let kept = service.sandbox.path("kept");
    fs::rename(&program, &kept).unwrap();
    fs::copy(&kept, &program).unwrap();
    std::os::unix::fs::chown(&program, Some(4001), None).unwrap();
    alice.run(&by_number).fails(1, "", &["cannot be run as root", "multipass"]);
    fs::rename(&kept, &program).unwrap();
    assert_eq!(service.trusted(), 0);

    says(&alice.run(&by_number), FIRST);
    is_let_in(&alice.client);
}

#[test]
fn only_an_administrator_says_who_is_first() {
    let Some((service, _alice)) = service() else { return };
    let mut command = Account::command(Some(&outsider()), &service.sandbox.path("multipassd"));
    command.args(["enroll-installer", "--user", "root"]);
    let storage = service.daemon.data.parent().expect("a directory");
    command.env("MULTIPASS_STORAGE", storage);
    Outcome::of(&mut command, "").unwrap().fails(1, "", &["only an administrator", "sudo"]);
    assert_eq!(service.trusted(), 0);
}
