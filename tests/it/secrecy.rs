//! Passphrases and their hash: where they are, and that they are nowhere else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::{Account, DaemonOptions, Outcome, is_root, wait_until};

use crate::support::{NO_INSTANCES, Service, below, mode, outsider, run_with_input};

const PASSPHRASE: &str = "Zwiebelfisch-27182";
const CHANGED: &str = "Schusterjunge-57721";
const WRONG: &str = "Fliegenkopf-31415";
/// What is not timed still has to happen.
const SOON: Duration = Duration::from_secs(10);
/// How every hash of a passphrase begins in its PHC form.
const HASH: &str = "$argon2";

#[test]
fn passphrases_are_shown_and_kept_nowhere_at_any_verbosity() {
    for verbosity in ["error", "warning", "info", "debug", "trace"] {
        let service =
            Service::start_with(DaemonOptions { verbosity: Some(verbosity), ..DaemonOptions::default() });
        let shown = every_use_of_a_passphrase(&service);
        for outcome in &shown {
            assert_absent(format!("{}{}", outcome.stdout, outcome.stderr).as_bytes(), "a client's output");
        }

        let log = service.daemon.logged();
        assert_absent(log.as_bytes(), "the daemon's log");
        if verbosity != "error" && verbosity != "warning" {
            assert!(log.contains("passphrase"), "{verbosity}: it does log what happened: {log}");
        }
        let refusals = service.daemon.data.join("audit/refusals.jsonl");
        wait_until("who was refused is written down", SOON, || refusals.exists()).unwrap();
        assert_only_the_hash_is_kept(&service);
        assert_not_in_the_process(&service);
    }
}

/// Sets, checks, changes and reads the passphrase, by argument and by pipe, also with mistakes.
fn every_use_of_a_passphrase(service: &Service) -> Vec<Outcome> {
    let (first, other) = (service.user("first"), service.user("other"));
    // Root may set the passphrase without being trusted, by a call of its own.
    let (user, others_code) = match is_root() {
        true => (service.user_as("user", outsider()), 0),
        false => (service.user("user"), 2),
    };
    let set = |passphrase| format!("local.passphrase={passphrase}");
    [
        (&first, &["list"][..], "", 0),
        (&user, &["authenticate", WRONG], "", 2),
        (&first, &["set", &set(PASSPHRASE)], "", 0),
        (&first, &["set", "local.passphrase"], CHANGED, 0),
        (&other, &["set", &set(CHANGED)], "", others_code),
        (&other, &["set", "local.passphrase"], CHANGED, others_code),
        (&first, &["set", &set(PASSPHRASE)], "", 0),
        (&user, &["set", &set(CHANGED)], "", 2),
        (&user, &["authenticate", WRONG], "", 2),
        (&user, &["authenticate"], WRONG, 2),
        (&user, &["authenticate", PASSPHRASE], "", 0),
        (&user, &["authenticate"], PASSPHRASE, 0),
        (&user, &["authenticate", PASSPHRASE, WRONG], "", 1),
        (&first, &["set", &format!("local.pasphrase={PASSPHRASE}")], "", 2),
        (&first, &["set", &format!("local.driver={PASSPHRASE}")], "", 2),
        (&first, &["set", "local.passphrase", PASSPHRASE], "", 1),
        (&first, &["get", &set(PASSPHRASE)], "", 2),
        (&first, &["get", "local.passphrase"], "", 0),
        (&first, &["get", "local.passphrase", "--raw"], "", 0),
        (&user, &["list"], "", 0),
    ]
    .into_iter()
    .map(|(client, arguments, input, code)| {
        let outcome = run_with_input(client, &[arguments, &["-vvvv"]].concat(), input);
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        outcome
    })
    .collect()
}

#[track_caller]
fn assert_absent(bytes: &[u8], place: &str) {
    for secret in [PASSPHRASE, CHANGED, WRONG, HASH] {
        assert!(!contains(bytes, secret), "{secret} in {place}: {}", String::from_utf8_lossy(bytes));
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[track_caller]
fn assert_only_the_hash_is_kept(service: &Service) {
    let mut with_hash = Vec::new();
    for path in below(&service.sandbox.path("")) {
        let program = service.sandbox.path("multipass") == path || service.sandbox.path("multipassd") == path;
        if program || !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).expect("readable");
        for secret in [PASSPHRASE, CHANGED, WRONG] {
            assert!(!contains(&bytes, secret), "{secret} in {}", path.display());
        }
        if contains(&bytes, HASH) {
            with_hash.push(path);
        }
    }
    let [path] = with_hash.as_slice() else { panic!("the hash is in {with_hash:?}") };
    assert!(path.starts_with(&service.daemon.data), "{}", path.display());
    assert_eq!(mode(path), 0o600);
    let hash = fs::read_to_string(path).expect("text");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[track_caller]
fn assert_not_in_the_process(service: &Service) {
    let process = Path::new("/proc").join(service.daemon.pid().to_string());
    if !cfg!(target_os = "linux") {
        return;
    }
    // Others may not look at the environment; see below.
    for file in if is_root() { &["cmdline", "environ"][..] } else { &["cmdline"] } {
        let bytes = fs::read(process.join(file)).expect("readable");
        assert!(contains(&bytes, if *file == "cmdline" { "multipassd" } else { "MULTIPASS_STORAGE" }));
        assert_absent(&bytes, file);
    }
}

/// Nor can the user's other programs read it there, or a core dump hold it.
#[cfg(target_os = "linux")]
#[test]
fn what_is_in_memory_stays_there() {
    use std::process::{Command, Stdio};

    if !is_root() {
        return e2e::skip("needs root, to act as several users");
    }
    let user = outsider();
    let closed = |pid: u32, program: &str| {
        let process = Path::new("/proc").join(pid.to_string());
        // `setpriv` has become the program, and that has begun.
        wait_until("it guards its memory", SOON, || {
            let limits = fs::read_to_string(process.join("limits")).expect("it runs");
            let limit = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
            let runs = fs::read(process.join("cmdline")).is_ok_and(|line| contains(&line, program));
            runs && limit.split_whitespace().filter(|word| *word == "0").count() == 2
        })
        .expect("no core dumps");
        // What only who may look at the memory may read.
        let read = |file: &str| {
            let mut cat = Account::command(Some(&user), Path::new("cat"));
            Outcome::of(cat.arg(process.join(file)), "").expect("cat runs")
        };
        assert_eq!(read("status").code, 0);
        let refused = read("environ");
        assert!(refused.stderr.contains("Permission denied"), "{program}: {refused:?}");
    };
    // Somebody's program that does nothing of the kind.
    let mut open = Account::command(Some(&user), Path::new("sleep"));
    let mut open = open.arg("60").stdin(Stdio::null()).spawn().expect("sleep runs");
    let environment = Path::new("/proc").join(open.id().to_string()).join("environ");
    wait_until("its environment can be read", SOON, || {
        let mut cat = Account::command(Some(&user), Path::new("cat"));
        cat.arg(&environment)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    })
    .expect("otherwise this would say nothing");
    open.kill().and_then(|()| open.wait()).expect("ended");

    let service =
        Service::start_with(DaemonOptions { account: Some(user.clone()), ..DaemonOptions::default() });
    closed(service.daemon.pid(), "multipassd");
    let client = service.user_as("user", user.clone());
    let mut asks: Command = client.command(&["authenticate"]);
    let mut asks = asks.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the client runs");
    closed(asks.id(), "authenticate");
    asks.kill().and_then(|()| asks.wait()).expect("ended");

    // The daemon's program guards it whatever it is to do: some of that has the root key too. This waits for a wish.
    let (wish, _wisher) = std::os::unix::net::UnixStream::pair().expect("a socket");
    let mut other = Account::command(Some(&user), &service.sandbox.path("multipassd"));
    let mut other =
        other.arg("open-file").stdin(std::os::fd::OwnedFd::from(wish)).spawn().expect("the program runs");
    closed(other.id(), "open-file");
    other.kill().and_then(|()| other.wait()).expect("ended");
}

#[test]
fn an_unset_passphrase_leaves_no_hash_behind() {
    let service = Service::start();
    let first = service.first_client();
    for value in [PASSPHRASE, ""] {
        let setting = format!("local.passphrase={value}");
        assert_eq!(run_with_input(&first, &["set", &setting], "").code, 0);
    }
    for path in below(&service.daemon.data) {
        if path.is_file() {
            assert_absent(&fs::read(&path).expect("readable"), &path.display().to_string());
        }
    }
    assert_eq!(run_with_input(&first, &["list"], "").stdout, NO_INSTANCES);
}

#[test]
fn two_equal_passphrases_have_different_hashes() {
    let services = [Service::start(), Service::start()];
    let [one, other] = services.each_ref().map(|service| {
        let setting = format!("local.passphrase={PASSPHRASE}");
        assert_eq!(run_with_input(&service.first_client(), &["set", &setting], "").code, 0);
        fs::read_to_string(service.daemon.data.join("authenticated-certs/passphrase.phc")).expect("a hash")
    });
    assert_ne!(one, other);
}
