//! Every state in which somebody is locked out, and the one command that ends it: `docs/lockouts.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use e2e::{Account, Client, Outcome, wait_until};
use nix::sys::signal::Signal;

use crate::accounts::NamedAccount;
use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, member, run, run_with_input,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A service, root on its machine, and alice, who is locked out.
struct Scene {
    service: Service,
    root: Client,
    alice: NamedAccount,
}

impl Scene {
    fn new() -> Option<Self> {
        administrators()?;
        let service = Service::start();
        let alice = NamedAccount::new(&service)?;
        let root = service.user("root");
        Some(Self { service, root, alice })
    }

    /// With a first client who is an administrator of that uid.
    fn with_first(uid: u32) -> Option<(Self, Client)> {
        let admins = administrators()?;
        let scene = Self::new()?;
        let first = scene.service.user_as("first", member(uid, &admins));
        run(&first, &["list"]).prints(NO_INSTANCES);
        Some((scene, first))
    }

    #[track_caller]
    fn alice_is_let_in_by_root(&self) {
        let outcome = self.alice.add(&self.root);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        run(&self.alice.client, &["list"]).prints(NO_INSTANCES);
    }

    #[track_caller]
    fn alice_is_out(&self) {
        run(&self.alice.client, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
}

#[test]
fn the_wrong_client_was_the_first() {
    let Some((scene, wrong)) = Scene::with_first(1666) else { return };
    scene.alice_is_out();
    scene.alice_is_let_in_by_root();
    let clients = run(&scene.root, &["clients", "list", "--format", "csv"]).stdout;
    let line = clients.lines().find(|line| line.contains(",first-client,uid:1666,")).expect("the wrong one");
    assert_eq!(run(&scene.root, &["clients", "revoke", &line[..12]]).code, 0);
    run(&wrong, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&scene.alice.client, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn root_was_the_first() {
    let Some((scene, _)) = Scene::with_first(0) else { return };
    scene.alice_is_out();
    scene.alice_is_let_in_by_root();
}

#[test]
fn the_trust_file_was_removed() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    fs::remove_file(scene.service.trust_file()).unwrap();
    wait_until("the daemon notices", DEADLINE, || run(&first, &["list"]).code == 2).unwrap();
    run(&first, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    scene.alice_is_let_in_by_root();
    assert_eq!(scene.service.socket(), (0, 0, 0o666));
}

#[test]
fn the_trust_file_was_removed_and_the_first_client_comes_again() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    fs::remove_file(scene.service.trust_file()).unwrap();
    let mut command = Account::command(None, &scene.service.sandbox.path("multipassd"));
    command
        .args(["recover", "--first-client"])
        .env("MULTIPASS_STORAGE", scene.service.sandbox.path("service"));
    assert_eq!(Outcome::of(&mut command, "").unwrap().code, 0);
    wait_until("the daemon notices", DEADLINE, || {
        run(&first, &["list"]).code == 0 && scene.service.trusted() == 1
    })
    .unwrap();
    assert!(scene.service.trusts(&first));
}

#[test]
fn nobody_knows_the_passphrase() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    run(&first, &["set", "local.passphrase=forgotten"]).prints("");
    let alice = &scene.alice.client;
    run(alice, &["authenticate", "guess"]).fails(2, "authenticate failed: Passphrase is not correct.", &[]);
    run_with_input(&scene.root, &["set", "local.passphrase"], "a new one\n").prints("");
    run(&scene.root, &["get", "local.passphrase"]).prints("true\n");
    run(&scene.root, &["get", "local.driver"]).fails(2, "get failed: ", NOT_AUTHENTICATED);
    run(alice, &["authenticate", "a new one"]).prints("");
    run(alice, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn nobody_knows_the_passphrase_and_roots_own_client_may_only_read() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    run(&first, &["set", "local.passphrase=forgotten"]).prints("");
    run(&scene.root, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let certificate = scene.root.certificate().display().to_string();
    let added = run(&scene.root, &["clients", "add", "--cert", &certificate, "--read-only"]);
    assert_eq!(added.code, 0, "{added:?}");
    run(&scene.root, &["list"]).prints(NO_INSTANCES);
    run(&scene.root, &["set", "local.passphrase=a new one"]).prints("");
    run(&scene.alice.client, &["authenticate", "a new one"]).prints("");
}

#[test]
fn only_clients_that_may_only_read_are_left() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    let listed = run(&first, &["clients", "--format", "csv"]).stdout;
    let own = listed.lines().nth(1).and_then(|line| line.split(',').next()).expect("the first client");
    assert_eq!(run(&first, &["clients", "set-level", "--yes", own, "read-only"]).code, 0);
    let set_level = &["clients", "set-level", own, "full"];
    run(&first, set_level).fails(2, "clients set-level failed: This client may only read", &[]);
    assert_eq!(run(&scene.root, set_level).code, 0);
    assert_eq!(run(&first, &["clients"]).code, 0);
}

#[test]
fn the_clients_key_was_lost() {
    let Some(scene) = Scene::new() else { return };
    scene.alice_is_let_in_by_root();
    fs::remove_dir_all(scene.alice.client.identity()).unwrap();
    scene.alice_is_out();
    scene.alice_is_let_in_by_root();
}

#[test]
fn the_root_certificate_was_removed() {
    let Some((scene, first)) = Scene::with_first(1001) else { return };
    let file = &scene.service.daemon.root_certificate;
    let before = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    run(&first, &["list"]).fails(2, "list failed: ", &[&file.display().to_string(), "SIGHUP"]);
    scene.service.daemon.signal(Signal::SIGHUP).unwrap();
    wait_until("it is published again", DEADLINE, || file.exists()).unwrap();
    assert_eq!(fs::read(file).unwrap(), before);
    run(&first, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn the_socket_is_closed_though_clients_are_trusted() {
    let Some((scene, _)) = Scene::with_first(1001) else { return };
    scene.alice_is_let_in_by_root();
    fs::set_permissions(&scene.service.daemon.socket, fs::Permissions::from_mode(0o660)).unwrap();
    run(&scene.alice.client, &["list"]).fails(2, "list failed: permission denied", &[]);
    scene.service.daemon.signal(Signal::SIGHUP).unwrap();
    wait_until("the socket opens", DEADLINE, || scene.service.socket() == (0, 0, 0o666)).unwrap();
    run(&scene.alice.client, &["list"]).prints(NO_INSTANCES);
}
