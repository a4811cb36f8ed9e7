//! Remotes: services by names, of which each is reached when it is meant, proves itself, and is told of when not.

use std::fs;
use std::process::Command;

use e2e::{Client, DaemonOptions, Outcome, Sandbox, Via};
use serde_json::Value;

use crate::pty::{Terminal, has_setsid};
use crate::recorder::{Record, Recorder};
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, at_once, mode, run};

const ANOTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const EACH: [Via; 3] = [Via::Unix, Via::Tcp, Via::Quic];

/// A daemon on all transports, with a passphrase.
fn service() -> Service {
    let also = vec![Via::Tcp, Via::Quic];
    let service = Service::start_with(DaemonOptions { also, ..DaemonOptions::default() });
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    service
}

/// A user without any service but the system's.
fn nobody(sandbox: &Sandbox) -> Client {
    Client::elsewhere(sandbox, "user", "").expect("a home")
}

fn address(service: &Service, via: Via) -> String {
    service.daemon.address_over(via).expect("an address").to_owned()
}

#[track_caller]
fn add(user: &Client, name: &str, address: &str, fingerprint: &str) {
    let added = run(user, &["remote", "add", name, address, "--fingerprint", fingerprint]);
    let said = format!("The remote {name} is {address}, known by the fingerprint {fingerprint}");
    assert!(added.code == 0 && added.stdout.starts_with(&said), "{added:?}");
    assert!(added.stderr.starts_with(&format!("Use `multipass --remote {name} <command>`")), "{added:?}");
}

fn with(user: &Client, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = user.command(arguments);
    Outcome::of(command.envs(variables.iter().copied()), "").expect("the client runs")
}

fn lines(user: &Client) -> Vec<String> {
    let text = fs::read_to_string(user.remotes()).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn remotes_are_added_shown_chosen_and_removed() {
    let service = service();
    let user = nobody(&service.sandbox);
    let fingerprint = service.fingerprint();
    let (unix, tcp, quic) =
        (address(&service, Via::Unix), address(&service, Via::Tcp), address(&service, Via::Quic));
    for (name, address) in [("own", &unix), ("work", &tcp), ("lab.quic", &quic)] {
        add(&user, name, address, &fingerprint);
    }
    assert_eq!(mode(&user.remotes()), 0o600);
    assert!(!user.identity().exists() && !user.known_servers().exists(), "nothing else is begun");
    let short = &fingerprint[..12];
    let header = "Name,Address,Fingerprint,Default,In use";
    let here = "unix:/run/multipass_socket";
    run(&user, &["remote", "list", "--format", "csv"]).prints(&format!(
        "{header}\nlocal,{here},,true,true\nown,{unix},{fingerprint},false,false\n\
         work,{tcp},{fingerprint},false,false\nlab.quic,{quic},{fingerprint},false,false\n"
    ));
    run(&user, &["remote", "default"]).prints("local\n");
    run(&user, &["remote", "default", "work"]).prints("The default remote is work.\n");
    run(&user, &["remote", "default"]).prints("work\n");
    let table = run(&user, &["remote"]);
    let rows: Vec<Vec<&str>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["Name", "Address", "Fingerprint", "Used"], "{table:?}");
    assert_eq!(rows[1], ["local", here, "--", "--"], "{table:?}");
    assert_eq!(rows[3], ["work", &tcp, short, "default,", "in", "use"], "{table:?}");

    let shown = run(&user, &["remote", "show"]).stdout;
    for part in ["work", tcp.as_str(), &fingerprint, "In use:         yes"] {
        assert!(shown.contains(part), "no {part}: {shown}");
    }
    let json = run(&user, &["remote", "show", "lab.quic", "--format", "json"]).stdout;
    let read: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(read["remotes"][0]["fingerprint"], fingerprint);
    assert_eq!(read["remotes"][0]["in_use"], false);
    let yaml = run(&user, &["remote", "list", "--format", "yaml"]).stdout;
    assert!(yaml.starts_with("remotes:\n  - name: local\n"), "{yaml}");

    let there = run(&user, &["remote", "add", "work", &unix, "--fingerprint", &fingerprint]);
    there.fails(2, "remote add failed: there is a remote 'work' already", &["--replace"]);
    run(&user, &["remote", "remove", "nosuch"]).fails(
        2,
        "remote remove failed: there is no remote",
        &["list"],
    );
    run(&user, &["remote", "default", "nosuch"]).fails(2, "remote default failed: there is no remote", &[]);
    run(&user, &["remote", "show", "nosuch"]).fails(2, "remote show failed: there is no remote", &[]);
    for arguments in [&["remote", "remove", "local"][..], &["remote", "add", "local", &tcp]] {
        run(&user, arguments).fails(2, "remote ", &["built in"]);
    }
    run(&user, &["remote", "add", "10.0.0.1", &tcp]).fails(1, "", &["looks like an address"]);
    run(&user, &["remote", "add", "there", "nowhere"]).fails(1, "", &["the port is missing"]);
    run(&user, &["remote", "remove", "own"]).prints("The remote own is removed.\n");
    let removed = run(&user, &["remote", "remove", "work"]);
    assert!(removed.code == 0 && removed.stdout.contains("which is 'local' again"), "{removed:?}");
    run(&user, &["remote", "default"]).prints("local\n");
    assert_eq!(lines(&user), [format!("lab.quic {fingerprint} {quic}")]);
}

#[test]
fn each_way_to_choose_reaches_the_service_that_is_meant() {
    let (trusting, strange) = (service(), service());
    let user = nobody(&trusting.sandbox);
    for (service, names) in
        [(&trusting, ["one", "one-tcp", "one-quic"]), (&strange, ["two", "two-tcp", "two-quic"])]
    {
        for (via, name) in EACH.into_iter().zip(names) {
            add(&user, name, &address(service, via), &service.fingerprint());
        }
    }
    run(&user, &["--remote", "one", "authenticate", "open sesame"]).prints("");
    assert!(trusting.trusts(&user) && !strange.trusts(&user));

    // None of them is that of a remote.
    let nonsense = [("MULTIPASS_ROOT_CERT", "/none.pem"), ("MULTIPASS_FINGERPRINT", "none")];
    for (name, is_trusted) in [
        ("one", true),
        ("one-tcp", true),
        ("one-quic", true),
        ("two", false),
        ("two-tcp", false),
        ("two-quic", false),
    ] {
        let by_option = with(&user, &nonsense, &["list", "--remote", name]);
        let by_variable = with(&user, &[("MULTIPASS_REMOTE", name)], &["list"]);
        for listed in [&by_option, &by_variable] {
            match is_trusted {
                true => listed.prints(NO_INSTANCES),
                false => listed.fails(2, &format!("list failed on {name}: "), NOT_AUTHENTICATED),
            }
        }
        let hint = |listed: &Outcome, command: &str| {
            assert_eq!(listed.stderr.contains(&format!("`{command}` looks at")), !is_trusted, "{listed:?}");
        };
        hint(&by_option, &format!("multipass --remote {name} doctor"));
        hint(&by_variable, "multipass doctor");
    }

    // The option wins, then the variable; two that contradict are told; the default comes last.
    let two = address(&strange, Via::Unix);
    let at_two = ("MULTIPASS_SERVER_ADDRESS", two.as_str());
    with(&user, &[at_two, ("MULTIPASS_REMOTE", "two")], &["list", "--remote", "one"]).prints(NO_INSTANCES);
    with(&user, &[at_two, ("MULTIPASS_REMOTE", "one")], &["list"]).fails(
        1,
        "both MULTIPASS_REMOTE and MULTIPASS_SERVER_ADDRESS are set",
        &["--remote"],
    );
    with(&user, &[("MULTIPASS_REMOTE", "a:1")], &["list"]).fails(
        2,
        "list failed: MULTIPASS_REMOTE is not",
        &[],
    );
    run(&user, &["list", "--remote", "nosuch"]).fails(
        2,
        "list failed: there is no remote 'nosuch'",
        &["list"],
    );
    run(&user, &["remote", "default", "one"]).prints("The default remote is one.\n");
    run(&user, &["list"]).prints(NO_INSTANCES);
    let root = strange.daemon.root_certificate.display().to_string();
    let pinned = ("MULTIPASS_ROOT_CERT", root.as_str());
    with(&user, &[at_two, pinned], &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    with(&user, &[at_two], &["remote", "show"]).fails(
        1,
        "no remote is in use",
        &["MULTIPASS_SERVER_ADDRESS"],
    );
    let chosen = with(&user, &[at_two], &["remote", "default", "two"]);
    assert!(chosen.code == 0 && chosen.stderr.contains("goes before the default"), "{chosen:?}");

    // Another root than the remote's, for once: it is told, and not kept.
    let before = lines(&user);
    run(&user, &["list", "--remote", "one", "--fingerprint", ANOTHER]).fails(
        2,
        "list failed on one: ",
        &[ANOTHER, &trusting.fingerprint()],
    );
    assert_eq!(lines(&user), before);
    assert!(!user.known_servers().exists());
}

#[test]
fn the_user_is_told_whose_passphrase_is_asked_for() {
    if !has_setsid() {
        return;
    }
    let service = service();
    let user = nobody(&service.sandbox);
    let at = address(&service, Via::Tcp);
    add(&user, "work", &at, &service.fingerprint());
    for arguments in [&["authenticate"][..], &["set", "local.passphrase"]] {
        let mut terminal = Terminal::run(&user, &[&["--remote", "work"], arguments].concat());
        terminal.waits_for(&format!("Please enter passphrase for work, {at}: "));
        terminal.types("open sesame\n");
        if arguments[0] == "set" {
            terminal.waits_for("Please re-enter passphrase: ");
            terminal.types("open sesame\n");
        }
        let left = terminal.ends();
        assert_eq!(left.code, Some(0), "{:?}", left.shown);
    }
    assert!(service.trusts(&user));
}

#[test]
fn a_service_with_another_root_hears_nothing_until_that_is_accepted_on_purpose() {
    let service = service();
    let user = nobody(&service.sandbox);
    let (at, before) = (address(&service, Via::Tcp), service.fingerprint());
    add(&user, "work", &at, &before);
    run(&user, &["remote", "default", "work"]).prints("The default remote is work.\n");
    let port = at.rsplit(':').next().expect("a port").to_owned();
    drop(service.daemon);
    let other = Recorder::start(&format!("127.0.0.1:{port}"));
    let after = other.root.fingerprint().to_string();

    let accept = format!("multipass remote add --replace work {at} --fingerprint {after}");
    let parts = [
        "the service of the remote 'work'",
        "another root than before",
        &before,
        &after,
        "Nothing secret was sent",
        &accept,
        "`multipass doctor`",
    ];
    for arguments in
        [&["list"][..], &["authenticate", "open sesame"], &["set", "local.passphrase=open sesame"]]
    {
        run(&user, arguments).fails(2, &format!("{} failed on work: ", arguments[0]), &parts);
    }
    // Nobody is asked about it, nor for the passphrase.
    run(&user, &["remote", "add", "--replace", "work", &at]).fails(2, "remote add failed: ", &parts[..5]);
    if has_setsid() {
        let left = Terminal::run(&user, &["authenticate"]).ends();
        assert!(left.shown.starts_with("authenticate failed on work: "), "{:?}", left.shown);
    }
    let report = run(&user, &["doctor", "--format", "json"]).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let find =
        |check: &str| report["checks"].as_array().unwrap().iter().find(|it| it["check"] == check).unwrap();
    let found = find("address")["message"].as_str().unwrap();
    assert_eq!(found, format!("{at} (the remote work, the default one)"));
    let advice = find("server")["advice"].as_str().unwrap();
    assert!(
        advice.contains(&format!("remote add --replace work {at} --fingerprint THE-FINGERPRINT")),
        "{advice}"
    );
    let heard = other.record();
    assert!(heard.arrived > 0);
    assert_eq!(heard, Record { arrived: heard.arrived, ..Record::default() });

    assert_eq!(lines(&user), ["default: work".to_owned(), format!("work {before} {at}")]);
    let accepting: Vec<&str> = accept.split(' ').skip(1).collect();
    assert_eq!(run(&user, &accepting).code, 0);
    assert_eq!(lines(&user), ["default: work".to_owned(), format!("work {after} {at}")]);
    assert_eq!(other.record().identified, 0, "not even the certificate was shown");
}

#[test]
fn a_service_on_another_machine_is_asked_about_or_named() {
    let service = service();
    let user = nobody(&service.sandbox);
    let fingerprint = service.fingerprint();
    let at = address(&service, Via::Tcp).replace("localhost", "0.0.0.0");
    let hints = ["is on another machine", "on a terminal", "--fingerprint", "--root-cert"];
    run(&user, &["remote", "add", "work", &at]).fails(2, "remote add failed: ", &hints);
    let wrong = run(&user, &["remote", "add", "work", &at, "--fingerprint", ANOTHER]);
    wrong.fails(2, "remote add failed: ", &[ANOTHER, &fingerprint, "than the one named"]);
    let nobody_there = run(&user, &["remote", "add", "work", "localhost:1", "--fingerprint", ANOTHER]);
    nobody_there.fails(2, "remote add failed: cannot connect", &["localhost:1", "name another address"]);
    assert!(!user.remotes().exists(), "only what works is kept");

    let root = service.daemon.root_certificate.display().to_string();
    let added = run(&user, &["remote", "add", "copy", &at, "--root-cert", &root]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(lines(&user), [format!("copy {fingerprint} {at}")]);
    if has_setsid() {
        for (answer, code) in [("no\n", 2), ("yes\n", 0)] {
            let mut terminal = Terminal::run(&user, &["remote", "add", "asked", &at]);
            terminal.waits_for("Do you trust this service? [yes/no] ");
            terminal.types(answer);
            let left = terminal.ends();
            assert_eq!(left.code, Some(code), "{:?}", left.shown);
            assert!(left.shown.contains(&fingerprint), "{:?}", left.shown);
        }
        assert_eq!(lines(&user)[1], format!("asked {fingerprint} {at}"));
    }
    assert!(!user.known_servers().exists(), "a remote is known by itself");
    assert_eq!(service.trusted(), 1);
}

#[test]
fn a_token_lets_a_client_in_and_names_its_service() {
    let (service, other) = (service(), service());
    let user = nobody(&service.sandbox);
    let (tcp, quic, fingerprint) =
        (address(&service, Via::Tcp), address(&service, Via::Quic), service.fingerprint());
    let create = |addresses: &[&str]| {
        let named = addresses.iter().flat_map(|address| ["--address", address]);
        let arguments: Vec<&str> = ["token", "create", "--name", "alice"].into_iter().chain(named).collect();
        let made = run(&service.user("first"), &arguments);
        assert_eq!(made.code, 0, "{made:?}");
        made.stdout.trim().to_owned()
    };
    // Nothing listens at the first address.
    let token = create(&["localhost:1", &quic]);
    run(&user, &["remote", "add", "work", "--token", &token[..token.len() - 1]]).fails(
        1,
        "this token",
        &["Copy"],
    );
    // Another service does not hear of it.
    let elsewhere = address(&other, Via::Tcp);
    let wrong = run(&user, &["remote", "add", "work", &elsewhere, "--token", &token]);
    wrong.fails(2, "remote add failed: ", &[&fingerprint, &other.fingerprint(), "can still be used"]);
    assert!(!user.remotes().exists() && service.trusted() == 1 && other.trusted() == 1);

    let added = run(&user, &["remote", "add", "work", "--token", &token]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(
        added.stderr.starts_with(&format!("You may use the service at {quic} as alice (full)")),
        "{added:?}"
    );
    assert_eq!(lines(&user), [format!("work {fingerprint} {quic}")]);
    assert!(service.trusts(&user));
    run(&user, &["--remote", "work", "list"]).prints(NO_INSTANCES);

    // It is good for once; and the address may be another one than the token's.
    let again = run(&user, &["remote", "add", "again", "--token", &token]);
    again.fails(2, "remote add failed: ", &["token"]);
    let second = Client::elsewhere(&service.sandbox, "second", "").expect("a home");
    let token = create(&["localhost:1"]);
    let asked =
        second.run_with_input(&["remote", "add", "work", &tcp, "--token", "-"], &format!("{token}\n"));
    let asked = asked.expect("the client runs");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(lines(&second), [format!("work {fingerprint} {tcp}")]);
    assert_eq!(lines(&user).len(), 1);
}

#[test]
fn remotes_that_cannot_be_relied_upon_are_named_and_the_local_one_remains() {
    let service = service();
    let user = nobody(&service.sandbox);
    let (at, fingerprint) = (address(&service, Via::Tcp), service.fingerprint());
    add(&user, "work", &at, &fingerprint);
    let good = fs::read_to_string(user.remotes()).expect("a file");
    for damage in ["what?", "default: nosuch", &format!("work {fingerprint} {at}")] {
        let damaged = format!("{good}{damage}\n");
        fs::write(user.remotes(), &damaged).expect("written");
        let path = user.remotes().display().to_string();
        let parts = ["line 4 of the list of remotes", &path, "Fix the line", "`--remote local`"];
        run(&user, &["list"]).fails(2, "list failed: ", &parts);
        run(&user, &["list", "--remote", "work"]).fails(2, "list failed: ", &parts);
        run(&user, &["remote"]).fails(2, "remote failed: ", &parts);
        let added = run(&user, &["remote", "add", "new", &at, "--fingerprint", &fingerprint]);
        added.fails(2, "remote add failed: ", &parts);
        run(&user, &["remote", "remove", "work"]).fails(2, "remote remove failed: ", &parts);
        assert_eq!(fs::read_to_string(user.remotes()).expect("a file"), damaged);
        let doctor = run(&user, &["doctor"]);
        assert!(doctor.code == 2 && doctor.stdout.contains("multipass --remote local doctor"), "{doctor:?}");
        // What needs no remote does without them.
        let local = run(&user, &["--remote", "local", "doctor"]);
        assert!(local.stdout.contains("(the remote local, by"), "{local:?}");
        let pin = ("MULTIPASS_FINGERPRINT", fingerprint.as_str());
        let named = with(&user, &[("MULTIPASS_SERVER_ADDRESS", &at), pin], &["authenticate", "open sesame"]);
        named.prints("");
    }
}

#[test]
fn who_adds_at_once_loses_nothing() {
    let service = service();
    let user = nobody(&service.sandbox);
    let (at, fingerprint) = (address(&service, Via::Tcp), service.fingerprint());
    let name = |number: usize| format!("r{}", number % 6);
    let commands: Vec<Command> = (0..12)
        .map(|number| user.command(&["remote", "add", &name(number), &at, "--fingerprint", &fingerprint]))
        .collect();
    let outcomes = at_once(commands);
    // Of two with one name, one is the first.
    for number in 0..6 {
        let mut codes = [outcomes[number].code, outcomes[number + 6].code];
        codes.sort_unstable();
        assert_eq!(codes, [0, 2], "{outcomes:?}");
    }
    let mut found = lines(&user);
    found.sort();
    let all: Vec<String> = (0..6).map(|number| format!("r{number} {fingerprint} {at}")).collect();
    assert_eq!(found, all);
}
