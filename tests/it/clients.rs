//! `multipass clients`: who is trusted is listed, added and revoked by trusted clients, and by root.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::{Account, Client, wait_until};
use nix::sys::signal::Signal;

use crate::pty::{Terminal, has_setsid};
use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, member, run, run_with_input,
};

/// What a caller must read who may not see or change who is trusted.
const NOT_FOR_YOU: &[&str] = &["only clients of the level 'full', and root", "Run it with sudo"];

/// A service whose first client is an ordinary user, alice.
fn shared() -> Option<(Service, Client)> {
    let admins = administrators()?;
    let service = Service::start();
    let alice = service.user_as("alice", member(1001, &admins));
    run(&alice, &["list"]).prints(NO_INSTANCES);
    Some((service, alice))
}

/// A user with a certificate, which is not trusted; and a copy of it that everybody can read.
fn stranger(service: &Service, name: &str, uid: u32) -> (Client, PathBuf) {
    let user = service.user_as(name, Account { uid, gid: uid, groups: Vec::new() });
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let copy = service.sandbox.path(&format!("{name}.pem"));
    fs::write(&copy, fs::read(user.certificate()).unwrap()).unwrap();
    (user, copy)
}

/// Lets a stranger in.
fn trusted(service: &Service, by: &Client, name: &str, uid: u32) -> Client {
    let (user, file) = stranger(service, name, uid);
    let outcome = run(by, &["clients", "add", "--cert", &file.display().to_string(), "--name", name]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    run(&user, &["list"]).prints(NO_INSTANCES);
    user
}

/// The trusted clients, each as its columns in CSV: fingerprint, name, level, added, how, from, last seen, connections.
fn listed(by: &Client) -> Vec<Vec<String>> {
    let outcome = run(by, &["clients", "list", "--format", "csv"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    outcome.stdout.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The fingerprint of the client of that name; of the first client, which has none.
fn fingerprint(by: &Client, name: &str) -> String {
    let rows = listed(by);
    let row = rows.iter().find(|row| row[1] == name).expect("a client of that name");
    row[0].clone()
}

#[test]
fn a_trusted_client_lists_them_in_every_form() {
    let Some((service, alice)) = shared() else { return };
    trusted(&service, &alice, "bob", 1002);
    let mut clients = listed(&alice);
    // Within one second, their order is that of their fingerprints.
    clients.sort_by_key(|row| row[1].clone());
    let told: Vec<[&str; 3]> =
        clients.iter().map(|row| [1, 4, 5].map(|column| row[column].as_str())).collect();
    assert_eq!(told, [["", "first-client", "uid:1001"], ["bob", "added", "uid:1001"]]);
    let [fingerprint, added] = [0, 3].map(|column| clients[1][column].as_str());
    assert!(fingerprint.len() == 64 && added.ends_with('Z'), "{clients:?}");

    let json = run(&alice, &["clients", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let bob = json["clients"].as_array().unwrap().iter().find(|client| client["name"] == "bob").expect("bob");
    assert_eq!((bob["fingerprint"].as_str(), bob["added"].as_str()), (Some(fingerprint), Some(added)));
    let yaml = run(&alice, &["clients", "list", "--format", "yaml"]).stdout;
    assert!(yaml.starts_with("clients:\n") && yaml.contains("    name: bob\n"), "{yaml}");
    let table = run(&alice, &["clients"]).stdout;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0],
        ["Name", "Fingerprint", "Level", "Added", "How", "From", "Last", "seen", "Connections"]
    );
    assert!(rows[1..].iter().any(|row| row[0] == "--"), "{table}");
    let bobs = ["bob", &fingerprint[..12], "full", added, "added", "uid:1001"];
    assert!(rows[1..].iter().any(|row| row.starts_with(&bobs)), "{table}");
}

#[test]
fn a_certificate_is_added_from_a_file_and_from_a_pipe() {
    let Some((service, alice)) = shared() else { return };
    trusted(&service, &alice, "bob", 1002);
    let (carol, file) = stranger(&service, "carol", 1003);
    let certificate = fs::read_to_string(&file).unwrap();
    let outcome = run_with_input(&alice, &["clients", "add", "--cert", "-"], &certificate);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let short =
        outcome.stdout.strip_prefix("The client ").and_then(|told| told.strip_suffix(" is trusted.\n"));
    let short = short.expect("its fingerprint").to_owned();
    run(&carol, &["list"]).prints(NO_INSTANCES);
    // Once more: it is not named by that, but one is told how.
    let again = &["clients", "add", "--cert", "-", "--name", "carol"];
    let outcome = run_with_input(&alice, again, &certificate);
    assert_eq!(
        (outcome.code, outcome.stdout),
        (
            0,
            format!(
                "The client {short} was trusted already. It has no name; to change that, run `multipass clients \
                 rename {short} carol`.\n"
            )
        )
    );

    // Not with root's rights, not what is no certificate, not without end.
    for (file, part) in [
        (carol.certificate().display().to_string(), "Permission denied"),
        (carol.home.with_extension("none").display().to_string(), "No such file"),
        ("/etc/passwd".to_owned(), "holds no certificate"),
        ("/dev/zero".to_owned(), "not a regular file"),
    ] {
        run(&alice, &["clients", "add", "--cert", &file]).fails(2, "clients add failed: ", &[part, &file]);
    }
    let two = certificate.repeat(2);
    run_with_input(&alice, &["clients", "add", "--cert", "-"], &two).fails(
        2,
        "",
        &["more than one certificate"],
    );
    let file = file.display().to_string();
    run(&alice, &["clients", "add", "--cert", &file, "--name", "a b"]).fails(1, "", &["letters, digits"]);
    assert_eq!(service.trusted(), 3);
}

#[test]
fn a_stranger_is_refused() {
    let Some((service, alice)) = shared() else { return };
    let (mallory, file) = stranger(&service, "mallory", 1009);
    let file = file.display().to_string();
    let first = listed(&alice)[0][0].clone();
    for arguments in [
        &["clients"][..],
        &["clients", "list", "--format", "json"],
        &["clients", "add", "--self"],
        &["clients", "add", "--cert", &file],
        &["clients", "revoke", &first],
    ] {
        run(&mallory, arguments).fails(2, "clients", NOT_FOR_YOU);
    }
    run(&mallory, &["clients", "add", "--user", "root"]).fails(2, "clients add failed: only root", &["sudo"]);
    run(&mallory, &["set", "local.passphrase=x"]).fails(2, "set failed: ", NOT_AUTHENTICATED);
    assert_eq!(listed(&alice).len(), 1);
}

#[test]
fn root_needs_no_identity_and_gets_none() {
    let Some((service, alice)) = shared() else { return };
    let root = service.user("root");
    let (bob, file) = stranger(&service, "bob", 1002);
    let file = file.display().to_string();
    let outcome = run(&root, &["clients", "add", "--cert", &file, "--name", "bob"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    run(&bob, &["list"]).prints(NO_INSTANCES);
    assert_eq!(listed(&root).len(), 2);
    assert_eq!(run(&root, &["clients", "revoke", "bob"]).code, 0);
    run(&bob, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&alice, &["list"]).prints(NO_INSTANCES);
    assert_eq!(fs::read_dir(&root.home).unwrap().count(), 0);

    // Its own it may add as well.
    assert_eq!(run(&root, &["clients", "add", "--self"]).code, 0);
    run(&root, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_client_is_revoked_by_its_name_or_its_fingerprint() {
    let Some((service, alice)) = shared() else { return };
    let (bob, carol) = (trusted(&service, &alice, "bob", 1002), trusted(&service, &alice, "carol", 1003));
    for word in ["dave", "abcde"] {
        let parts = [word, "multipass clients list"];
        run(&alice, &["clients", "revoke", word]).fails(
            2,
            "clients revoke failed: no trusted client",
            &parts,
        );
    }
    let outcome = run(&alice, &["clients", "revoke", "bob"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stdout.starts_with("The client bob (") && outcome.stderr.is_empty(), "{outcome:?}");
    run(&bob, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let carols = fingerprint(&alice, "carol");
    assert_eq!(run(&alice, &["clients", "revoke", &carols[..8].to_uppercase()]).code, 0);
    run(&carol, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&alice, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_name_that_two_clients_have_revokes_neither() {
    let Some((service, alice)) = shared() else { return };
    for (name, uid) in [("bob", 1002), ("carol", 1003)] {
        let (_, file) = stranger(&service, name, uid);
        let file = file.display().to_string();
        assert_eq!(run(&alice, &["clients", "add", "--cert", &file, "--name", "both"]).code, 0);
    }
    let fingerprints: Vec<String> = listed(&alice)
        .iter()
        .filter(|row| row[1] == "both")
        .map(|row| format!("both ({})", &row[0][..12]))
        .collect();
    let parts: Vec<&str> = fingerprints.iter().map(String::as_str).collect();
    run(&alice, &["clients", "revoke", "both"]).fails(2, "clients revoke failed: 'both' may be any", &parts);
    assert_eq!(listed(&alice).len(), 3);
}

#[test]
fn who_revokes_himself_must_mean_it() {
    let Some((service, alice)) = shared() else { return };
    let own = listed(&alice)[0][0].clone();
    run(&alice, &["clients", "revoke", &own]).fails(1, "This is the client that you are using", &["--yes"]);
    if has_setsid() {
        let mut terminal = Terminal::run(&alice, &["clients", "revoke", &own]);
        terminal.waits_for("Revoke it? [y/N] ");
        assert!(terminal.echo());
        terminal.types("\n");
        let left = terminal.ends();
        assert_eq!((left.code, left.shown.contains("still trusted")), (Some(2), true), "{}", left.shown);
    }
    run(&alice, &["list"]).prints(NO_INSTANCES);
    let outcome = run(&alice, &["clients", "revoke", "--yes", &own]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    run(&alice, &["list"]).fails(2, "list failed: ", &[]);
    assert_eq!(service.trusted(), 0);
    let closed = || service.socket().2 == 0o660;
    wait_until("the socket is the administrators' again", Duration::from_secs(20), closed).unwrap();
}

#[test]
fn a_revoked_client_stays_out_whatever_is_in_the_trust_file() {
    let Some((service, alice)) = shared() else { return };
    let bob = trusted(&service, &alice, "bob", 1002);
    assert_eq!(run(&alice, &["clients", "revoke", "bob"]).code, 0);
    let certificate = fs::read_to_string(bob.certificate()).unwrap();
    let text = fs::read_to_string(service.trust_file()).unwrap() + &certificate;
    fs::write(service.trust_file(), text).unwrap();
    service.daemon.signal(Signal::SIGHUP).unwrap();
    wait_until("the daemon notices", Duration::from_secs(20), || {
        service.daemon.logged().contains("read the trusted clients again")
    })
    .unwrap();
    run(&bob, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(listed(&alice).len(), 1);
    // Who adds him again lets him in again.
    let outcome = run_with_input(&alice, &["clients", "add", "--cert", "-"], &certificate);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    run(&bob, &["list"]).prints(NO_INSTANCES);
}

#[cfg(target_os = "linux")]
#[test]
fn a_revoked_clients_connection_ends_at_once() {
    let Some((service, alice)) = shared() else { return };
    if !has_setsid() {
        return;
    }
    let bob = trusted(&service, &alice, "bob", 1002);
    let own = fingerprint(&alice, "bob");
    let connections = || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", service.daemon.pid())).unwrap();
        let target = |entry: std::io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path()).ok();
        descriptors
            .filter_map(target)
            .filter(|path| path.display().to_string().starts_with("socket:"))
            .count()
    };
    // Until the daemon has noticed that the others have left.
    let mut before = connections();
    wait_until("the others have left", Duration::from_secs(20), || {
        std::thread::sleep(Duration::from_millis(200));
        let now = connections();
        std::mem::replace(&mut before, now) == now
    })
    .unwrap();
    // A command that has connected, and waits for its user.
    let mut terminal = Terminal::run(&bob, &["clients", "revoke", &own]);
    terminal.waits_for("Revoke it? [y/N] ");
    assert_eq!(connections(), before + 1);
    assert_eq!(run(&alice, &["clients", "revoke", "bob"]).code, 0);
    wait_until("the connection ends", Duration::from_secs(1), || connections() <= before).unwrap();
    terminal.types("y\n");
    let left = terminal.ends();
    assert_eq!((left.code, left.shown.contains("was lost")), (Some(2), true), "{}", left.shown);
}

#[test]
fn revoking_offers_to_replace_the_passphrase() {
    let Some((service, alice)) = shared() else { return };
    if !has_setsid() {
        return;
    }
    run(&alice, &["set", "local.passphrase=before"]).prints("");
    let come_back = |name: &str, passphrase: &str| {
        let (user, _) = stranger(&service, name, 1005);
        run(&user, &["authenticate", passphrase]).code
    };
    let offer = "Replace the passphrase now? [y/N] ";
    // Declined; an empty answer; accepted, and mistyped; accepted.
    for (name, answers, code, before_holds) in [
        ("a", &["n\n"][..], 0, true),
        ("b", &["y\n", "\n", "\n"], 0, true),
        ("c", &["y\n", "one\n", "another\n"], 1, true),
        ("d", &["y\n", "after\n", "after\n"], 0, false),
    ] {
        trusted(&service, &alice, name, 1004);
        let mut terminal = Terminal::run(&alice, &["clients", "revoke", name]);
        let prompts = [offer, "Please enter passphrase: ", "Please re-enter passphrase: "];
        for (prompt, answer) in prompts.iter().zip(answers) {
            terminal.waits_for(prompt);
            assert_eq!(terminal.echo(), *prompt == offer);
            terminal.types(answer);
        }
        let left = terminal.ends();
        assert_eq!((left.code, left.echo), (Some(code), true), "{}", left.shown);
        assert!(left.shown.starts_with(&format!("The client {name} (")), "{}", left.shown);
        for secret in ["after", "another"] {
            assert!(!left.shown.contains(secret), "{}", left.shown);
        }
        assert_eq!(come_back(&format!("{name}-before"), "before") == 0, before_holds, "{name}");
    }
    assert_eq!(come_back("after", "after"), 0);
}

#[test]
fn without_a_terminal_revoking_says_how_to_replace_the_passphrase() {
    let Some((service, alice)) = shared() else { return };
    run(&alice, &["set", "local.passphrase=before"]).prints("");
    trusted(&service, &alice, "bob", 1002);
    let outcome = run(&alice, &["clients", "revoke", "bob"]);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (0, 1), "{outcome:?}");
    assert!(outcome.stderr.contains("`multipass set local.passphrase`"), "{outcome:?}");
}

#[test]
fn root_sets_the_passphrase_without_being_trusted() {
    let Some((service, _)) = shared() else { return };
    let root = service.user("root");
    run_with_input(&root, &["set", "local.passphrase"], "new words\n").prints("");
    let (bob, _) = stranger(&service, "bob", 1002);
    run(&bob, &["authenticate", "new words"]).prints("");
    run(&root, &["set", "local.passphrase="]).prints("");
    run(&bob, &["get", "local.passphrase"]).prints("false\n");
    run(&root, &["get", "local.passphrase"]).prints("false\n");
    // Nothing else, and nobody was enrolled by it.
    run(&root, &["get", "local.driver"]).fails(2, "get failed: ", NOT_AUTHENTICATED);
    run(&root, &["set", "local.driver=x"]).fails(2, "set failed: ", NOT_AUTHENTICATED);
    assert_eq!(service.trusted(), 2);
}
