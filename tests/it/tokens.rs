//! Tokens, as people use them: made by one who is trusted, given to somebody, used once; by nobody else, and nowhere
//! else. Clocks and crashes are the crates' own tests.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use e2e::{Client, DaemonOptions, Outcome, Via, wait_until};
use serde_json::Value;

use crate::pty::{Terminal, has_setsid};
use crate::recorder::{Record, Recorder};
use crate::support::{
    Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, at_once, below, mode, run, run_with_input,
};
use crate::token_text::Parts;

const NO_TOKENS: &str = "No tokens are waiting to be used.\n";
const NOT_VALID: &[&str] = &["may have been used, revoked, or have expired", "Ask for a new one"];
const PROMPT: &str = "Please enter passphrase: ";
const ANOTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A service, and its first client.
fn service() -> (Service, Client) {
    let service = Service::start_with(DaemonOptions { also: vec![Via::Tcp], ..DaemonOptions::default() });
    let first = service.first_client();
    (service, first)
}

/// The service's address as a machine has it that takes it for another's: this way to write 127.0.0.1 is nobody's idea of
/// a loopback address.
fn from_elsewhere(service: &Service) -> String {
    service.daemon.address_over(Via::Tcp).expect("an address").replace("localhost", "127.1")
}

/// Somebody who knows nothing of the service.
fn stranger(service: &Service, name: &str) -> Client {
    Client::elsewhere(&service.sandbox, name, "").expect("a home")
}

/// A new token, alone on standard output.
#[track_caller]
fn token(by: &Client, options: &[&str]) -> String {
    let made = run(by, &[&["token", "create"], options].concat());
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    let token = made.stdout.strip_suffix('\n').expect("a line");
    assert!(token.starts_with("mpt1_") && !token.contains(char::is_whitespace), "{token}");
    token.to_owned()
}

fn tokens(by: &Client) -> Vec<Value> {
    let listed = run(by, &["token", "list", "--format", "json"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    listed["tokens"].as_array().expect("tokens").clone()
}

/// What is known of the client of that name.
fn client(by: &Client, name: &str) -> Value {
    let shown = run(by, &["clients", "show", name, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    shown["clients"][0].clone()
}

/// The user was let in: nothing on standard output, and on the other what he is told.
#[track_caller]
fn welcomes(outcome: &Outcome, told: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", told));
}

/// A port at which nothing listens.
fn dead() -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    format!("127.1:{port}")
}

#[test]
fn another_user_of_the_machine_is_let_in_once_by_a_token_alone() {
    let (service, first) = service();
    run(&first, &["token", "list"]).prints(NO_TOKENS);
    let made = token(&first, &["--name", "alice"]);
    let [listed] = tokens(&first).try_into().expect("one token");
    assert_eq!((&listed["name"], &listed["level"]), (&Value::from("alice"), &Value::from("full")));
    // Only this machine can reach it, as far as is known.
    let socket = service.daemon.address();
    assert_eq!(Parts::of(&made).addresses[0], socket);

    let alice = stranger(&service, "alice");
    let outcome = run(&alice, &["authenticate", &made]);
    welcomes(
        &outcome,
        &format!(
            "You may use the service at {socket} as alice (full) from now on.\n\
             It is not the system's own service on this machine. To use it, give it a name:\n  \
             multipass remote add NAME {socket} --fingerprint {}\n  multipass --remote NAME list\n",
            Parts::of(&made).root_digits()
        ),
    );
    // Whoever does as is told gets there.
    let told: Vec<Vec<&str>> =
        outcome.stderr.lines().skip(2).map(|line| line.split_whitespace().skip(1).collect()).collect();
    assert_eq!(run(&alice, &told[0]).code, 0, "{outcome:?}");
    run(&alice, &told[1]).prints(NO_INSTANCES);
    let told = client(&first, "alice");
    assert_eq!((&told["how"], &told["level"]), (&Value::from("token"), &Value::from("full")));
    run(&first, &["token", "list"]).prints(NO_TOKENS);

    // Nor to who has it from her, nor again to herself.
    let bob = stranger(&service, "bob");
    run(&bob, &["authenticate", &made]).fails(2, "authenticate failed: The token is not valid", NOT_VALID);
    run(&service.user("bob"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&alice, &["authenticate", &made]).fails(2, "authenticate failed: The token is not valid", NOT_VALID);
}

#[test]
fn on_another_machine_nothing_but_the_token_has_to_be_known() {
    let (service, first) = service();
    let address = from_elsewhere(&service);
    // The first is not there any more.
    let gone = dead();
    let made = token(&first, &["--name", "alice", "--address", &gone, "--address", &address]);
    assert_eq!(Parts::of(&made).addresses, [gone, address.clone()]);
    let alice = stranger(&service, "alice");
    let outcome = run(&alice, &["authenticate", &made]);
    welcomes(
        &outcome,
        &format!(
            "note: {address} is known by that fingerprint from now on, in {}\n\
             You may use the service at {address} as alice (full) from now on.\n\
             To use it, set MULTIPASS_SERVER_ADDRESS={address}.\n",
            alice.known_servers().display()
        ),
    );
    let known = fs::read_to_string(alice.known_servers()).expect("a list");
    assert!(known.ends_with(&format!("\n{address} {}\n", Parts::of(&made).root_digits())), "{known}");
    assert_eq!(mode(&alice.known_servers()), 0o600);
    let alice = alice.at(&address);
    run(&alice, &["list"]).prints(NO_INSTANCES);

    // Who is there already has its address in those that he makes.
    let hers = token(&alice, &[]);
    assert_eq!(Parts::of(&hers).addresses, [address.as_str()]);
    // An address of one's own goes before all in the token.
    let elsewhere = token(&first, &["--address", &dead()]);
    let bob = stranger(&service, "bob").at(&address);
    let outcome = run(&bob, &["authenticate", &elsewhere]);
    let told = format!("You may use the service at {address} (full) from now on.\n");
    assert_eq!((outcome.code, outcome.stderr.ends_with(&told)), (0, true), "{outcome:?}");
}

#[test]
fn an_address_at_which_nobody_answers_costs_no_time_and_the_token_is_sent_once() {
    let (service, first) = service();
    // The system takes connections for it, and nobody ever says anything.
    let hole = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = hole.local_addr().expect("an address").port();
    let imposter = Recorder::start("localhost:0");
    let addresses = [
        format!("127.1:{port}"),
        imposter.endpoint.to_string(),
        from_elsewhere(&service),
        from_elsewhere(&service),
    ];
    let options: Vec<&str> = addresses.iter().flat_map(|address| ["--address", address]).collect();
    let made = token(&first, &options);
    let alice = stranger(&service, "alice");
    // So that the certificate is there.
    drop(run(&alice, &["list"]));
    let started = Instant::now();
    let outcome = run(&alice, &["authenticate", &made]);
    let told = format!("You may use the service at {} (full) from now on.\n", addresses[2]);
    assert!(outcome.code == 0 && outcome.stderr.contains(&told), "{outcome:?}");
    // Each attempt alone has ten seconds.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(imposter.record(), Record { arrived: 1, ..Record::default() });
    assert_eq!(service.trusted(), 2);
    assert!(tokens(&first).is_empty());
}

#[test]
fn a_service_that_is_not_reached_is_told_with_each_address_and_the_token_stays() {
    let (service, first) = service();
    let gone = [dead(), dead()];
    let made = token(&first, &["--address", &gone[0], "--address", &gone[1]]);
    let alice = stranger(&service, "alice");
    run(&alice, &["authenticate", &made]).fails(
        2,
        "authenticate failed: the service was reached at none of the token's addresses\n",
        &[
            &format!("  {}: nothing listens there", gone[0]),
            &format!("  {}: nothing listens there", gone[1]),
            "can still be used",
            "MULTIPASS_SERVER_ADDRESS",
        ],
    );
    assert!(!alice.known_servers().exists());
    assert_eq!(run(&alice.at(&from_elsewhere(&service)), &["authenticate", &made]).code, 0);
}

#[test]
fn a_token_is_printed_in_every_form_and_taken_from_wherever_a_passphrase_is() {
    let (service, first) = service();
    let json = run(&first, &["token", "create", "--name", "json", "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let text = |key: &str| json[key].as_str().expect(key).to_owned();
    let parts = Parts::of(&text("token"));
    assert_eq!((text("name"), text("level")), ("json".to_owned(), "full".to_owned()));
    assert_eq!(
        (text("root_fingerprint"), json["addresses"][0].as_str()),
        (parts.root_digits(), Some(service.daemon.address()))
    );
    assert_eq!(tokens(&first)[0]["expires"], json["expires"]);
    assert_eq!(tokens(&first)[0]["id"], json["id"]);
    let csv = run(&first, &["token", "create", "--name", "csv", "--format", "csv"]).stdout;
    let csv = csv.lines().nth(1).expect("a row").split(',').next().expect("a token").to_owned();
    let yaml = run(&first, &["token", "create", "--name", "yaml", "--format", "yaml"]).stdout;
    let yaml = yaml.lines().next().and_then(|line| line.strip_prefix("token: ")).expect("a token").to_owned();
    for (format, beginning, part) in [
        ("table", "ID", "json"),
        ("csv", "ID,Name,Level,Created,Expires,By\n", ",csv,full,"),
        ("yaml", "tokens:\n  - id: ", "    name: yaml\n"),
    ] {
        let listed = run(&first, &["token", "list", "--format", format]).stdout;
        assert!(listed.starts_with(beginning) && listed.contains(part), "{listed}");
        assert!(!listed.contains("mpt1_"), "{listed}");
    }

    // By a pipe, where a question would be; by one that is named; by a file.
    let file = service.sandbox.path("token");
    fs::write(&file, format!("{yaml}\n")).expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let file = file.display().to_string();
    for (name, arguments, input) in [
        ("json", &["authenticate"][..], format!("{}\n", text("token"))),
        ("csv", &["auth", "--passphrase-file", "-"], csv),
        ("yaml", &["authenticate", "--passphrase-file", &file], String::new()),
    ] {
        let outcome = run_with_input(&stranger(&service, name), arguments, &input);
        let told = format!(
            "You may use the service at {} as {name} (full) from now on.\n",
            service.daemon.address()
        );
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
        assert!(outcome.stderr.starts_with(&told), "{outcome:?}");
        assert!(service.trusts(&stranger(&service, name)), "{name}");
    }
    assert!(tokens(&first).is_empty());
}

#[test]
fn on_a_terminal_a_token_is_explained_and_typed_in_silence() {
    if !has_setsid() {
        return;
    }
    let (service, first) = service();
    let left = Terminal::run(&first, &["token", "create", "--ttl", "30m"]).ends();
    assert_eq!(left.code, Some(0), "{:?}", left.shown);
    let made = left.shown.lines().next().expect("a token").to_owned();
    for part in ["It can be used once, until ", "multipass authenticate", "--address host:port"] {
        assert!(left.shown.contains(part), "{:?}", left.shown);
    }
    let alice = stranger(&service, "alice");
    let mut terminal = Terminal::run(&alice, &["authenticate"]);
    terminal.waits_for(PROMPT);
    assert!(!terminal.echo());
    terminal.types(&format!("{made}\n"));
    let left = terminal.ends();
    assert_eq!((left.code, left.shown.contains(&made)), (Some(0), false), "{:?}", left.shown);
    assert!(left.shown.contains("You may use the service at "), "{:?}", left.shown);
}

#[test]
fn of_two_who_use_a_token_at_once_one_is_let_in() {
    let (service, first) = service();
    for round in 0..5 {
        let made = token(&first, &[]);
        let users = ["one", "other"].map(|name| stranger(&service, &format!("{name}-{round}")));
        // So that neither has to make a certificate first.
        users.iter().for_each(|user| drop(run(user, &["list"])));
        let before = service.trusted();
        let outcomes = at_once(users.iter().map(|user| user.command(&["authenticate", &made])));
        let mut codes: Vec<i32> = outcomes.iter().map(|outcome| outcome.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 2], "{outcomes:?}");
        assert_eq!(service.trusted(), before + 1);
    }
}

#[test]
fn a_token_that_is_revoked_or_too_old_is_useless() {
    let (service, first) = service();
    let old = token(&first, &["--ttl", "1s", "--name", "old"]);
    let revoked = token(&first, &["--name", "revoked"]);
    let kept = token(&first, &["--name", "kept"]);
    let id = |name: &str| {
        let all = tokens(&first);
        all.iter().find(|token| token["name"] == name).expect(name)["id"].as_str().expect("an ID").to_owned()
    };
    let gone = id("revoked");
    run(&first, &["token", "revoke", &gone.to_uppercase()])
        .prints(&format!("The token {gone} (revoked) can no longer be used.\n"));
    run(&first, &["token", "revoke", &gone]).fails(
        2,
        "token revoke failed: no token that can still be used",
        &[&gone, "multipass token list", "multipass clients revoke"],
    );
    let is_over = || tokens(&first).iter().all(|token| token["name"] != "old");
    wait_until("the token's time is over", Duration::from_secs(20), is_over).unwrap();
    let user = stranger(&service, "user");
    for token in [old, revoked] {
        run(&user, &["authenticate", &token]).fails(
            2,
            "authenticate failed: The token is not valid",
            NOT_VALID,
        );
    }
    assert_eq!(run(&user, &["authenticate", &kept]).code, 0);
}

#[test]
fn a_token_for_reading_lets_its_client_read_and_who_may_not_make_tokens_is_refused() {
    let (service, first) = service();
    let made = token(&first, &["--read-only", "--name", "monitor"]);
    let monitor = stranger(&service, "monitor");
    let outcome = run(&monitor, &["authenticate", &made]);
    assert!(outcome.stderr.contains(" as monitor (read-only) from now on.\n"), "{outcome:?}");
    // Over TCP: as root the tests could do more over the socket.
    let tcp = service.daemon.address_over(Via::Tcp).expect("an address");
    let monitor = service.user("monitor").at(tcp);
    run(&monitor, &["list"]).prints(NO_INSTANCES);
    let stranger = service.user("stranger").at(tcp);
    run(&stranger, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    for (user, part) in
        [(&monitor, "its level is 'read-only'"), (&stranger, "only clients of the level 'full'")]
    {
        for arguments in [&["token", "create"][..], &["token", "list"], &["token", "revoke", "0"]] {
            let beginning = format!("token {} failed: ", arguments[1]);
            run(user, arguments).fails(2, &beginning, &[part]);
        }
    }
    run(&monitor, &["launch", "file:///none"]).fails(2, "launch failed: ", &["its level is 'read-only'"]);

    // It is no way down for who may do more, and is not used up by that.
    let another = token(&first, &["--read-only"]);
    run(&first, &["authenticate", &another]).fails(
        2,
        "authenticate failed: ",
        &["trusted already", "It was not used"],
    );
    assert_eq!(tokens(&first).len(), 1);
}

#[test]
fn a_server_that_has_not_made_the_token_hears_neither_it_nor_who_has_it() {
    let (service, first) = service();
    for address in ["localhost:0", "quic:localhost:0"] {
        let server = Recorder::start(address);
        let at = server.endpoint.to_string();
        let made = token(&first, &["--address", &at]);
        let presented = server.root.fingerprint().to_string();
        let root = Parts::of(&made).root_digits();
        let parts = ["is not the one that the token is for", &root, &presented, "Nothing secret was sent"];
        let user = stranger(&service, "user");
        run(&user, &["authenticate", &made]).fails(2, "authenticate failed: ", &parts);
        run(&user.clone().at(&at), &["authenticate", &made]).fails(2, "authenticate failed: ", &parts);
        assert_eq!(server.record(), Record { arrived: 2, ..Record::default() }, "{address}");
        assert!(!user.known_servers().exists());

        // It would have been heard: here is one that this server has made.
        let root = *server.root.fingerprint().as_bytes();
        let its = Parts { secret: *b"0123456789abcdef", root, addresses: vec![at] };
        assert_eq!(run(&user, &["authenticate", &its.text()]).code, 2, "no answer came");
        let heard = server.record();
        assert!(heard.contains(&its.secret_digits()) && heard.identified == 1, "{address}: {heard:?}");
    }
}

#[test]
fn what_a_user_knows_of_a_server_a_token_does_not_change() {
    let (service, first) = service();
    let server = Recorder::start("localhost:0");
    let address = server.endpoint.to_string().replace("127.0.0.1", "127.1").replace("[::1]", "127.1");
    let root = *server.root.fingerprint().as_bytes();
    let its = Parts { secret: [7; 16], root, addresses: vec![address.clone()] }.text();
    let user = stranger(&service, "user");
    let known = user.known_servers();
    fs::create_dir_all(known.parent().expect("a directory")).expect("made");
    fs::write(&known, format!("{address} {ANOTHER}\n")).expect("written");
    fs::set_permissions(&known, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let line = format!("line 1 of {}", known.display());
    run(&user, &["authenticate", &its]).fails(
        2,
        "authenticate failed: ",
        &[&line, ANOTHER, "Nothing was sent"],
    );
    let named = ["--fingerprint", ANOTHER, "authenticate", &its];
    run(&stranger(&service, "another"), &named).fails(
        2,
        "authenticate failed: ",
        &[ANOTHER, "the one named"],
    );
    let remote = ["remote", "add", "work", "--token", &its];
    run(&user, &remote).fails(2, "remote add failed: ", &[&line, ANOTHER, "Nothing was sent"]);
    assert_eq!(server.record(), Record::default(), "it was not even reached");
    assert_eq!(fs::read_to_string(&known).expect("a list"), format!("{address} {ANOTHER}\n"));
    // The right one may be named beside it.
    let made = token(&first, &["--address", &from_elsewhere(&service)]);
    let fingerprint = Parts::of(&made).root_digits();
    assert_eq!(run(&user, &["--fingerprint", &fingerprint, "authenticate", &made]).code, 0);
}

#[test]
fn what_is_no_whole_token_goes_nowhere() {
    let (service, first) = service();
    let made = token(&first, &[]);
    let server = Recorder::start("localhost:0");
    let user = stranger(&service, "user").at(&server.endpoint.to_string());
    let pinned = server.root.fingerprint().to_string();
    let say = |arguments: &[&str], input: &str| {
        run_with_input(&user, &[&["--fingerprint", &pinned], arguments].concat(), input)
    };
    let middle = made.len() / 2;
    let other = if made.as_bytes()[middle] == b'A' { "B" } else { "A" };
    for damaged in [
        "mpt1_".to_owned(),
        "mpt2_AAAA".to_owned(),
        made[..middle].to_owned(),
        made[1..].to_owned(),
        format!("{}{other}{}", &made[..middle], &made[middle + 1..]),
        format!("{made}A"),
        format!("{made}{made}"),
        made.replacen('p', "q", 1),
    ] {
        for outcome in [
            say(&["authenticate", &damaged], ""),
            say(&["authenticate"], &damaged),
            say(&["authenticate", "--passphrase-file", "-"], &damaged),
        ] {
            outcome.fails(1, "this token ", &["changed", "Copy all of it again", "Nothing was sent"]);
            assert!(!outcome.stderr.contains(&damaged[5..]) || damaged.len() == 5, "{outcome:?}");
        }
    }
    assert_eq!(server.record(), Record::default());
    // What is a passphrase would have gone there.
    assert_eq!(say(&["authenticate", "mpt_open sesame"], "").code, 2, "no answer came");
    assert!(server.record().contains("mpt_open sesame"));
    // And nobody sets one that could not be given.
    run(&first, &["set", "local.passphrase=mpt1_open"]).fails(1, "a passphrase that looks like a token", &[]);
}

#[test]
fn a_token_is_kept_and_shown_nowhere() {
    let options =
        DaemonOptions { verbosity: Some("trace"), also: vec![Via::Tcp], ..DaemonOptions::default() };
    let service = Service::start_with(options);
    let first = service.first_client();
    let [used, unused] = ["used", "unused"].map(|name| {
        let made = run(&first, &["-vvvv", "token", "create", "--name", name]);
        assert_eq!(made.code, 0, "{made:?}");
        (made.stdout.trim().to_owned(), made.stderr)
    });
    let user = stranger(&service, "user");
    let shown = [
        run(&user, &["-vvvv", "authenticate", &used.0]),
        run(&user, &["-vvvv", "authenticate", &used.0]),
        run(&first, &["-vvvv", "token", "list", "--format", "json"]),
    ];
    let [one, other] = [&used.0, &unused.0].map(|token| Parts::of(token));
    let secrets: Vec<Vec<u8>> = [&one, &other]
        .into_iter()
        .zip([&used.0, &unused.0])
        .flat_map(|(parts, text)| {
            let encoded = text.as_bytes()[5..20].to_vec();
            let upper = parts.secret_digits().to_uppercase().into_bytes();
            [parts.secret.to_vec(), parts.secret_digits().into_bytes(), upper, encoded]
        })
        .collect();
    let has_secret = |bytes: &[u8]| {
        secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret))
    };
    assert!(has_secret(used.0.as_bytes()) && has_secret(&one.secret), "they would be found");
    let clients: Vec<String> =
        shown.into_iter().map(|it| it.stdout + &it.stderr).chain([used.1, unused.1]).collect();
    for text in clients.iter().chain([&service.daemon.logged()]) {
        assert!(!has_secret(text.as_bytes()), "{text}");
    }
    assert!(service.daemon.logged().contains("redeemed the token"), "it does log what happened");
    let programs = ["multipass", "multipassd"].map(|name| service.sandbox.path(name));
    let mut looked_at = 0;
    for path in below(&service.sandbox.path("")) {
        if path.is_file() && !programs.contains(&path) {
            assert!(!has_secret(&fs::read(&path).expect("readable")), "{}", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 10, "{looked_at} files");
}
