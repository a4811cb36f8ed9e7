//! Clients that may only read: what they are refused, how they get there and away, and that the stock service
//! would not take one for more. And what is told of clients: their names, when they were here.

use std::fs;
use std::time::Duration;

use e2e::{Account, Client, is_root, skip, wait_until};
use nix::sys::signal::Signal;
use tonic::Code;

use crate::peer::{Identity, Peer, Place};
use crate::pty::{Terminal, has_setsid};
use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, member, outsider, run, run_with_input,
};

/// What those may call who may only read.
const READING: [&str; 12] = [
    "authenticate",
    "daemon_info",
    "find",
    "get",
    "info",
    "keys",
    "list",
    "networks",
    "ping",
    "version",
    "wait_ready",
    "zones",
];
/// What a client must read that may only read.
const READ_ONLY: &[&str] =
    &["its level is 'read-only'", "multipass clients set-level", "multipass authenticate"];

/// A service whose first client is alice; and bob, who is none.
struct Scene {
    service: Service,
    alice: Client,
    bob: Client,
}

impl Scene {
    fn new() -> Option<Self> {
        let admins = administrators()?;
        let service = Service::start();
        let alice = service.user_as("alice", member(1001, &admins));
        run(&alice, &["list"]).prints(NO_INSTANCES);
        let bob = service.user_as("bob", Account { uid: 1002, gid: 1002, groups: Vec::new() });
        run(&bob, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        Some(Self { service, alice, bob })
    }

    /// The same, and bob may only read.
    fn with_a_reader() -> Option<Self> {
        let scene = Self::new()?;
        let outcome = scene.add_bob(&["--read-only"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        assert!(outcome.stdout.ends_with(") is trusted, and may only read.\n"), "{outcome:?}");
        Some(scene)
    }

    fn add_bob(&self, options: &[&str]) -> e2e::Outcome {
        let certificate = fs::read_to_string(self.bob.certificate()).expect("a certificate");
        let arguments = [&["clients", "add", "--cert", "-", "--name", "bob"], options].concat();
        run_with_input(&self.alice, &arguments, &certificate)
    }

    /// What is told of bob, in JSON.
    fn bob_is(&self) -> serde_json::Value {
        let shown = run(&self.alice, &["clients", "show", "bob", "--format", "json"]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
        shown["clients"][0].clone()
    }

    /// Whether bob is a client, and so one that may do everything, where the stock service looks.
    fn stock_trusts_bob(&self) -> bool {
        self.service.trusts(&self.bob)
    }
}

/// By the methods of all services that there are: a new one is refused, or somebody has to write here that it is not.
#[test]
fn who_may_only_read_is_refused_each_other_method_of_each_service() {
    if !is_root() {
        return skip("needs root, to administer a service without being its client");
    }
    let service = Service::start();
    let place = Place::of(&service.daemon);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let reader = Identity::new();
        let mut administrator = Peer::connect(&place, None).await.unwrap();
        administrator.add(&Identity::new()).await.unwrap();
        administrator.add_at(&reader, "read-only").await.unwrap();
        // As an ordinary user: root may say who is trusted, whatever certificate it has.
        nix::unistd::seteuid(outsider().uid.into()).unwrap();
        let mut peer = Peer::connect(&place, Some(&reader)).await.unwrap();
        nix::unistd::seteuid(0.into()).unwrap();
        let mut refused = 0;
        for (service, methods) in rpc::SERVICES {
            for method in *methods {
                // Of itself it may do the one, and anyone who has a token the other.
                if *service == rpc::trust::SERVICE && ["Deauthenticate", "RedeemToken"].contains(method) {
                    continue;
                }
                let code =
                    peer.call(service, method).await.map_or_else(|status| status.code(), |()| Code::Ok);
                let may = *service == rpc::SERVICE && READING.contains(method);
                assert_eq!(code != Code::PermissionDenied, may, "{service}/{method}: {code:?}");
                refused += usize::from(!may);
            }
        }
        assert!(refused > 20, "{refused} methods");
        // Itself it may take away, and nothing is left of it.
        peer.call(rpc::trust::SERVICE, "Deauthenticate").await.unwrap();
        assert_eq!(administrator.trusted().await.unwrap().len(), 1);
    });
}

#[test]
fn who_may_only_read_sees_and_changes_nothing() {
    let Some(scene) = Scene::with_a_reader() else { return };
    run(&scene.bob, &["list"]).prints(NO_INSTANCES);
    run(&scene.bob, &["get", "local.passphrase"]).prints("false\n");
    for arguments in [&["version"][..], &["info"], &["get", "--keys"], &["wait-ready"]] {
        assert_eq!(run(&scene.bob, arguments).code, 0, "{arguments:?}");
    }
    for (arguments, beginning) in [
        (&["set", "local.passphrase=mine"][..], "set failed: "),
        (&["purge"], "purge failed: "),
        (&["launch", "file:///none"], "launch failed: "),
        (&["clients", "list", "--format", "json"], "clients failed: "),
        (&["clients", "show", "bob"], "clients show failed: "),
        (&["clients", "add", "--self"], "clients add failed: "),
        (&["clients", "set-level", "bob", "full"], "clients set-level failed: "),
        (&["clients", "rename", "bob", "root"], "clients rename failed: "),
        (&["clients", "revoke", "bob", "--yes"], "clients revoke failed: "),
    ] {
        run(&scene.bob, arguments).fails(2, beginning, READ_ONLY);
    }
    assert_eq!(scene.bob_is()["level"], "read-only");
}

#[test]
fn a_level_is_raised_and_lowered_and_the_stock_service_knows_of_full_clients_alone() {
    let Some(scene) = Scene::with_a_reader() else { return };
    assert!(!scene.stock_trusts_bob());
    // Adding changes no level.
    scene.add_bob(&[]).fails(2, "clients add failed: ", &["at the level 'read-only'", "set-level"]);
    run(&scene.alice, &["clients", "set-level", "bo", "full"]).fails(
        2,
        "clients set-level failed: ",
        &["whole name"],
    );
    let outcome = run(&scene.alice, &["clients", "set-level", "bob", "full"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(
        outcome.stdout.starts_with("The client bob (")
            && outcome.stdout.ends_with(") may do everything from now on.\n")
    );
    assert!(scene.stock_trusts_bob());
    run(&scene.bob, &["set", "local.passphrase=open sesame"]).prints("");
    assert_eq!(run(&scene.alice, &["clients", "set-level", "bob", "read-only"]).code, 0);
    assert!(!scene.stock_trusts_bob());
    run(&scene.bob, &["set", "local.passphrase="]).fails(2, "set failed: ", READ_ONLY);
    run(&scene.alice, &["clients", "set-level", "dave", "full"]).fails(
        2,
        "clients set-level failed: no trusted",
        &[],
    );
    run(&scene.alice, &["clients", "set-level", "bob", "admin"]).fails(1, "", &["full, read-only"]);

    // Who knows the passphrase may do everything; and a wrong one is counted as a stranger's is.
    let mut refusals = 0;
    let refused =
        || run(&scene.bob, &["authenticate", "shut sesame"]).stderr.contains("Too many failed attempts");
    while !refused() {
        refusals += 1;
        assert!(refusals < 20, "never slowed down");
    }
    let patience = Duration::from_secs(60);
    wait_until("bob's turn", patience, || run(&scene.bob, &["authenticate", "open sesame"]).code == 0)
        .unwrap();
    assert_eq!(
        (scene.bob_is()["level"].as_str(), scene.bob_is()["how"].as_str()),
        (Some("full"), Some("passphrase"))
    );
    assert!(scene.stock_trusts_bob());
    run(&scene.bob, &["set", "local.passphrase="]).prints("");

    // One's own is lowered only by somebody who means it.
    let own = &["clients", "set-level", "bob", "read-only"];
    run(&scene.bob, own).fails(1, "This is the client that you are using", &["--yes"]);
    assert_eq!(run(&scene.bob, &[own.as_slice(), &["--yes"]].concat()).code, 0);
    run(&scene.bob, &["clients"]).fails(2, "clients failed: ", READ_ONLY);
}

#[test]
fn a_client_is_renamed_and_shown_in_every_form_with_when_it_was_here() {
    let Some(scene) = Scene::with_a_reader() else { return };
    assert_eq!(scene.bob_is()["last_seen"], "", "he has not been here since he is trusted");
    run(&scene.bob, &["list"]).prints(NO_INSTANCES);
    let gone = || scene.bob_is()["connections"] == 0;
    wait_until("bob's connection ends", Duration::from_secs(10), gone).unwrap();
    let before = scene.bob_is();
    assert!(before["last_seen"].as_str().is_some_and(|at| at.ends_with('Z')), "{before}");

    let outcome = run(&scene.alice, &["clients", "rename", "bob", "monitor"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    let short = &before["fingerprint"].as_str().expect("text")[..12];
    assert_eq!(outcome.stdout, format!("The client bob ({short}) is monitor ({short}) from now on.\n"));
    run(&scene.alice, &["clients", "rename", "monitor", "a b"]).fails(
        1,
        "invalid value 'a b'",
        &["letters, digits", "multipass help clients rename"],
    );
    run(&scene.alice, &["clients", "show", "bob"]).fails(
        2,
        "clients show failed: no trusted client",
        &["multipass clients list"],
    );
    let table = run(&scene.alice, &["clients", "show", "mon"]).stdout;
    for line in
        ["Name:        monitor\n", "Level:       read-only\n", "How:         added\n", "Connections: 0\n"]
    {
        assert!(table.contains(line), "{table}");
    }
    for (format, part) in [
        ("csv", ",monitor,read-only,"),
        ("yaml", "    level: read-only\n"),
        ("json", "\"name\": \"monitor\""),
    ] {
        let shown = run(&scene.alice, &["clients", "show", "monitor", "--format", format]).stdout;
        assert!(shown.contains(part), "{shown}");
    }
    // Who asks is here.
    let table = run(&scene.alice, &["clients"]).stdout;
    assert!(
        table.lines().any(|line| line.contains("first-client") && line.trim_end().ends_with("  1")),
        "{table}"
    );

    // An orderly end forgets none of it.
    let Scene { service, alice, .. } = scene;
    let _service = service.restart(Signal::SIGTERM);
    let shown = run(&alice, &["clients", "show", "monitor", "--format", "csv"]).stdout;
    let last_seen = before["last_seen"].as_str().expect("text");
    assert!(shown.contains(&format!(",{last_seen},0")), "{shown}: {last_seen}");
}

#[test]
fn a_client_gives_up_its_own_trust_when_it_means_it() {
    let Some(scene) = Scene::with_a_reader() else { return };
    run(&scene.bob, &["deauthenticate"]).fails(1, "This is the client that you are using", &["--yes"]);
    if has_setsid() {
        let mut terminal = Terminal::run(&scene.bob, &["deauthenticate"]);
        terminal.waits_for("Have the service no longer trust it? [y/N] ");
        terminal.types("n\n");
        let left = terminal.ends();
        assert_eq!((left.code, left.shown.contains("still trusted")), (Some(2), true), "{}", left.shown);
    }
    run(&scene.bob, &["list"]).prints(NO_INSTANCES);
    let outcome = run(&scene.bob, &["deauthenticate", "--yes"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(
        outcome.stdout.contains("no longer trusted") && outcome.stdout.contains("multipass authenticate")
    );
    run(&scene.bob, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&scene.bob, &["deauthenticate", "--yes"]).fails(
        2,
        "deauthenticate failed: ",
        &["does not trust this client"],
    );
    assert_eq!(run(&scene.alice, &["clients", "--format", "csv"]).stdout.lines().count(), 2);
}

/// Nobody becomes the first client in order to be none.
#[test]
fn giving_up_what_one_has_not_enrols_nobody() {
    let service = Service::start();
    let user = service.user("user");
    run(&user, &["deauthenticate", "--yes"]).fails(
        2,
        "deauthenticate failed: ",
        &["does not trust this client"],
    );
    assert_eq!(service.trusted(), 0);
    let first = service.first_client();
    run(&first, &["list"]).prints(NO_INSTANCES);
}
