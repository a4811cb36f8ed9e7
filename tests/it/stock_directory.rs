//! What a stock service has left is gone on with: in its own directory, or from it. Such a directory is made by
//! OpenSSL and Python, by what is known of its formats, and read again in the same way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Account, Client, DaemonOptions, Outcome, Sandbox, is_root, skip, through_shell, wait_until};
use nix::sys::signal::Signal;

use crate::interop::identities::Kind;
use crate::python::Python;
use crate::support::{
    DAEMON, Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, below, mode, outsider, run,
};

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);

/// A stock service's files, and its clients' homes: `old`, with a certificate as it was made before 2023, and `new`.
struct Stock {
    python: Python,
    sandbox: Sandbox,
    data: PathBuf,
    settings: PathBuf,
    root: PathBuf,
}

impl Stock {
    /// One whose data are in `data` in the sandbox, with this passphrase.
    fn new(data: &str, passphrase: &str) -> Option<Self> {
        let python = Python::find()?;
        let sandbox = Sandbox::of_this_build().expect("a sandbox");
        for (name, kind) in [("old", Kind::V1), ("new", Kind::V3)] {
            let folder = identity(&sandbox, name);
            fs::create_dir_all(&folder).expect("made");
            kind.make(&folder, "multipass_cert");
            fs::remove_dir_all(folder.join("multipass_cert.work")).expect("removed");
        }
        // Where the daemon of these tests publishes its own.
        let (settings, root) =
            (sandbox.path("config/multipassd/multipassd.conf"), sandbox.path("service/root.pem"));
        let data = sandbox.path(data);
        let stock = Self { python, sandbox, data, settings, root };
        let mut make = stock.python.script("stock_directory.py");
        make.arg("make").args([&stock.data, &stock.settings, &stock.root]).arg(passphrase);
        make.args(["old", "new"].map(|name| certificate(&stock.sandbox, name)));
        succeeds(&mut make);
        fs::set_permissions(stock.sandbox.path("service"), fs::Permissions::from_mode(0o755))
            .expect("opened");
        Some(stock)
    }

    fn options(&self) -> DaemonOptions {
        DaemonOptions {
            environment: vec![("DAEMON_CONFIG_HOME", self.sandbox.path("config"))],
            ..DaemonOptions::default()
        }
    }

    /// `multipassd migrate`, for the daemon `service` of the sandbox.
    fn migrate(&self) -> Migrate<'_> {
        Migrate { stock: self, account: None, from: self.data.clone(), limit: "", arguments: Vec::new() }
    }

    /// All that is in a directory, but for locks, which say nothing.
    fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let is_lock =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("lock"));
        let mut found: Vec<_> = match directory.exists() {
            true => below(directory).into_iter().filter(|path| path.is_file() && !is_lock(path)).collect(),
            false => Vec::new(),
        };
        found.sort();
        found.into_iter().map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
    }
}

#[derive(Clone)]
struct Migrate<'a> {
    stock: &'a Stock,
    account: Option<Account>,
    from: PathBuf,
    /// For a shell, before it runs.
    limit: &'static str,
    arguments: Vec<PathBuf>,
}

impl Migrate<'_> {
    fn run(&self) -> Outcome {
        let sandbox = &self.stock.sandbox;
        let mut command = Account::command(self.account.as_ref(), &sandbox.path("multipassd"));
        command
            .args(["migrate", "--from"])
            .arg(&self.from)
            .args(&self.arguments)
            .current_dir("/")
            .env("MULTIPASS_STORAGE", sandbox.path(DAEMON))
            .env("DAEMON_CONFIG_HOME", sandbox.path("config"));
        Outcome::of(&mut through_shell(&format!("{}exec \"$@\"", self.limit), &command), "").expect("it runs")
    }

    #[track_caller]
    fn says(&self, parts: &[&str]) {
        let outcome = self.run();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        for part in parts {
            assert!(outcome.stdout.contains(part), "no {part:?}: {}", outcome.stdout);
        }
    }
}

fn identity(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path(name).join(".local/share/multipass-client-certificate")
}

fn certificate(sandbox: &Sandbox, name: &str) -> PathBuf {
    identity(sandbox, name).join("multipass_cert.pem")
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let outcome = Outcome::of(command, "").expect("it runs");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

fn stored_passphrase(service: &Service) -> String {
    fs::read_to_string(service.daemon.data.join("authenticated-certs/passphrase.phc"))
        .expect("a passphrase's file")
}

fn is_refused(user: &Client) {
    run(user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
}

#[test]
fn a_stock_services_directory_is_gone_on_with() {
    let Some(stock) = Stock::new("service/data", "open sesame") else { return };
    let options = stock.options();
    let Stock { python, sandbox, settings, root, data } = stock;
    let [settings_before, root_before] = [&settings, &root].map(|path| fs::read(path).expect("readable"));
    let service = Service::start_in(sandbox, options);
    for name in ["old", "new"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    run(&service.user("new"), &["get", "local.passphrase"]).prints("true\n");
    assert_eq!(fs::read(&root).expect("a root certificate"), root_before, "clients' pins hold");
    assert!(stored_passphrase(&service).starts_with("stock-scrypt:"));

    // Guesses are counted, and change nothing.
    let [carol, dave] = ["carol", "dave"].map(|name| service.user(name));
    let wrong = run(&carol, &["authenticate", "open sesamE"]);
    wrong.fails(2, "authenticate failed: Passphrase is not correct.", &[]);
    let refusals = service.daemon.data.join("audit/refusals.jsonl");
    let is_counted = || fs::read_to_string(&refusals).is_ok_and(|text| text.contains("\"wrong_passphrase\""));
    wait_until("the refusal is told", DEADLINE, is_counted).unwrap();
    assert!(stored_passphrase(&service).starts_with("stock-scrypt:"));

    // Also after a restart; and then the hash is ours.
    let service = service.restart(Signal::SIGKILL);
    run(&carol, &["authenticate", "open sesame"]).prints("");
    run(&carol, &["list"]).prints(NO_INSTANCES);
    assert!(stored_passphrase(&service).starts_with("$argon2id$"));
    let service = service.restart(Signal::SIGTERM);
    run(&dave, &["authenticate", "open sesame"]).prints("");
    let grants = fs::read_to_string(service.daemon.data.join("audit/grants.jsonl")).expect("the audit log");
    let events: Vec<_> =
        grants.lines().filter_map(|line| line.split("\"event\":\"").nth(1)?.split('"').next()).collect();
    assert_eq!(
        events,
        ["passphrase_migrated", "passphrase_accepted", "passphrase_rehashed", "passphrase_accepted"]
    );

    // What is said here counts, whatever the stock service's settings say.
    run(&dave, &["set", "local.passphrase="]).prints("");
    let service = service.restart(Signal::SIGTERM);
    run(&service.user("erin"), &["authenticate", "open sesame"]).fails(
        2,
        "authenticate failed: No passphrase",
        &[],
    );
    assert_eq!(fs::read(&settings).expect("settings"), settings_before);

    // Handed back.
    let Service { daemon, sandbox, .. } = service;
    daemon.stop().expect("an end");
    let mut read = python.script("stock_directory.py");
    read.arg("trusts").arg(&data);
    succeeds(read.args(["old", "new", "carol", "dave"].map(|name| certificate(&sandbox, name))));
    assert_eq!(fs::read(&root).expect("a root certificate"), root_before);
}

#[test]
fn it_is_migrated_from_and_may_be_again() {
    let Some(stock) = Stock::new("stock", "open sesame") else { return };
    let before = Stock::contents(&stock.data);
    let root = fs::read(&stock.root).expect("a root certificate");
    let root_cert = vec!["--root-cert".into(), stock.root.clone()];
    Migrate { arguments: root_cert, ..stock.migrate() }.says(&[
        "the root key and its certificate are taken over",
        "2 taken over, 0 trusted already",
        &format!("passphrase  taken over from {}", stock.settings.display()),
        "instances   not taken over",
    ]);
    assert_eq!(Stock::contents(&stock.data), before, "the stock service's stay as they are");
    for path in below(&stock.sandbox.path("service/data")) {
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }

    let Stock { python, sandbox, data, settings, root: published } = stock;
    // It is not the published one that is gone on with.
    fs::remove_file(&published).expect("removed");
    let service = Service::start_in(sandbox, DaemonOptions::default());
    assert_eq!(fs::read(&published).expect("a root certificate"), root, "clients' pins hold");
    for name in ["old", "new"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    run(&service.user("carol"), &["authenticate", "open sesame"]).prints("");
    let clients = run(&service.user("new"), &["clients", "--format", "csv"]);
    assert_eq!(clients.stdout.matches(",migrated,").count(), 2, "{clients:?}");
    let listed = run(&service.user("new"), &["clients", "--format", "json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let text = fs::read(certificate(&service.sandbox, "old")).expect("a certificate");
    let old = openssl_fingerprint(&text);
    assert!(listed.to_string().contains(&old), "{listed}");
    run(&service.user("new"), &["clients", "revoke", &old, "--yes"]);
    is_refused(&service.user("old"));

    // Again: not while either runs, and nobody comes back.
    let Service { mut daemon, sandbox, .. } = service;
    let stock = Stock { python, sandbox, data, settings, root: published };
    stock.migrate().run().fails(1, "", &["another multipassd uses"]);
    daemon.signal(Signal::SIGTERM).expect("a daemon");
    daemon.wait().expect("an end");
    let before = Stock::contents(&stock.sandbox.path("service/data"));
    stock.migrate().says(&[
        "the root key is this service's already",
        "0 taken over, 1 trusted already, 1 not taken over: revoked here",
        &format!("{old} revoked;"),
        "already set or removed here",
    ]);
    assert_eq!(Stock::contents(&stock.sandbox.path("service/data")), before, "nothing was written");
    let service = Service::start_in(stock.sandbox, DaemonOptions::default());
    is_refused(&service.user("old"));
    run(&service.user("new"), &["list"]).prints(NO_INSTANCES);
}

/// SHA-256 of the certificate's DER, by another program.
fn openssl_fingerprint(pem: &[u8]) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256"]);
    let text = String::from_utf8_lossy(pem).into_owned();
    let outcome = Outcome::of(&mut command, &text).expect("openssl runs");
    let (_, digits) = outcome.stdout.trim().split_once('=').expect("a fingerprint");
    digits.replace(':', "").to_lowercase()
}

#[test]
fn who_is_known_here_stays_and_a_root_of_ones_own_too() {
    let Some(stock) = Stock::new("stock", "open sesame") else { return };
    // Its own root, in place of the one that the stock service has published.
    fs::remove_file(&stock.root).expect("removed");
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB";
    let trusted = stock.data.join("authenticated-certs/multipass_client_certs.pem");
    let text = fs::read_to_string(&trusted).expect("text");
    fs::write(&trusted, format!("{text}{damaged}")).expect("written");
    let Stock { python, sandbox, data, settings, root } = stock;
    let service = Service::start_in(sandbox, DaemonOptions::default());
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=our own"]).prints("");
    let Service { daemon, sandbox, .. } = service;
    daemon.stop().expect("an end");
    let own = fs::read(&root).expect("a root certificate");
    let stock = Stock { python, sandbox, data, settings, root };
    stock.migrate().says(&[
        "this service has a root key of its own",
        "2 taken over, 0 trusted already",
        &format!("bytes {} to {} of the trusted clients are damaged", text.len(), text.len() + damaged.len()),
        "already set or removed here",
    ]);
    assert_eq!(fs::read_to_string(&trusted).expect("text"), format!("{text}{damaged}"));
    let root = stock.root;
    let service = Service::start_in(stock.sandbox, DaemonOptions::default());
    assert_eq!(fs::read(&root).expect("a root certificate"), own);
    for name in ["first", "old", "new"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    let carol = service.user("carol");
    run(&carol, &["authenticate", "open sesame"]).fails(
        2,
        "authenticate failed: Passphrase is not correct.",
        &[],
    );
    run(&carol, &["authenticate", "our own"]).prints("");
}

#[test]
fn nothing_is_taken_from_where_others_could_have_written_or_nothing_is() {
    let Some(stock) = Stock::new("stock", "open sesame") else { return };
    let path = |name: &str| stock.sandbox.path(name);
    fs::create_dir(path("empty")).expect("made");
    fs::create_dir_all(path("used/authenticated-certs")).expect("made");
    fs::write(path("used/authenticated-certs/enrolled-once"), "").expect("written");
    fs::create_dir(path("open")).expect("made");
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o777)).expect("opened");
    symlink(&stock.data, path("open/link")).expect("made");
    symlink("/nowhere/at/all", path("dangling")).expect("made");
    let migrate = |from: &str| Migrate { from: path(from), ..stock.migrate() };
    let at = |from: &str| path(from).display().to_string();
    for (from, parts) in [
        ("missing", vec![at("missing"), "No such file".into()]),
        ("dangling", vec![at("dangling"), "No such file".into()]),
        ("empty", vec![at("empty"), "nothing of a stock service".into()]),
        ("multipassd", vec![at("multipassd")]),
        ("used", vec![at("used"), "MULTIPASS_STORAGE".into()]),
        ("open/link", vec!["other users may write to".into(), at("open")]),
    ] {
        let outcome = migrate(from).run();
        outcome.fails(1, "", &parts.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(!path("service/data").exists(), "{from}: {outcome:?}");
    }
    for option in ["--settings", "--root-cert"] {
        let no_file = Migrate { arguments: vec![option.into(), path("no.file")], ..stock.migrate() };
        no_file.run().fails(1, "", &["there is no file", "no.file"]);
    }
    fs::write(path("wrong.conf"), "[General]\nlocal.passphrase=open sesame\n").expect("written");
    let wrong = Migrate { arguments: vec!["--settings".into(), path("wrong.conf")], ..stock.migrate() };
    let outcome = wrong.run();
    outcome.fails(1, "", &["wrong.conf", "128 hexadecimal digits"]);
    assert!(!outcome.stderr.contains("sesame"), "{outcome:?}");
    assert!(!path("service/data").exists());

    // A link that nobody else can change is as good as what it leads to.
    symlink(&stock.data, path("link")).expect("made");
    migrate("link").says(&["2 taken over"]);
}

#[test]
fn nothing_is_taken_from_another_user_nor_by_one() {
    if !is_root() {
        skip("needs root, to act as several users");
        return;
    }
    let Some(stock) = Stock::new("stock", "open sesame") else { return };
    let target = stock.sandbox.path("service/data");
    // Another user cannot read it.
    let other = Migrate { account: Some(outsider()), ..stock.migrate() }.run();
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stderr.contains("Permission denied"), "{other:?}");
    assert!(!target.exists());
    // Nor does root take what another user owns: all of it, a file, or the way there.
    let uid = outsider().uid;
    let file = stock.data.join("authenticated-certs/multipass_client_certs.pem");
    for (path, what) in [(&stock.data, "the directory"), (&file, "the clients")] {
        chown(path, Some(uid), None).expect("given away");
        let outcome = stock.migrate().run();
        outcome.fails(1, "", &["belongs to user 65534"]);
        assert!(!target.exists(), "{what}");
        chown(path, Some(0), None).expect("taken back");
    }
    // Of the settings, which were not named, that is told, and the rest is taken.
    chown(&stock.settings, Some(uid), None).expect("given away");
    stock.migrate().says(&[
        "2 taken over",
        "passphrase  not taken over: cannot use",
        "belongs to user 65534",
    ]);
    // Later they can be taken over all the same.
    chown(&stock.settings, Some(0), None).expect("taken back");
    stock.migrate().says(&["0 taken over, 2 trusted already", "passphrase  taken over from"]);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_taken_while_a_multipassd_runs_there() {
    let Some(stock) = Stock::new("stock/data", "open sesame") else { return };
    let program = stock.sandbox.path("other/multipassd");
    fs::create_dir(program.parent().expect("a directory")).expect("made");
    fs::copy("/bin/sleep", &program).expect("copied");
    let storage = stock.sandbox.path("stock");
    let mut running =
        Command::new(&program).arg("600").env("MULTIPASS_STORAGE", &storage).spawn().expect("it runs");
    let number = format!("process {} is a multipassd", running.id());
    let outcome = {
        // Until then it is called as what it was forked from.
        let named =
            || fs::read(format!("/proc/{}/comm", running.id())).is_ok_and(|name| name == b"multipassd\n");
        wait_until("it runs", DEADLINE, named).unwrap();
        stock.migrate().run()
    };
    running.kill().expect("killed");
    running.wait().expect("an end");
    outcome.fails(1, "", &[&number, "stop it first"]);
    assert!(!stock.sandbox.path("service/data").exists());
    stock.migrate().says(&["2 taken over"]);
}

#[test]
fn on_a_full_disk_nothing_is_taken_over() {
    let Some(stock) = Stock::new("stock", "open sesame") else { return };
    // Files of no length, and no signal but the error.
    let full = Migrate { limit: "trap '' XFSZ; ulimit -f 0; ", ..stock.migrate() };
    let target = stock.sandbox.path("service/data");
    let outcome = full.run();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    let left = Stock::contents(&target);
    assert!(left.iter().all(|(_, bytes)| bytes.is_empty()), "{left:?}");

    // Also where a service has been before.
    let Stock { python, sandbox, data, settings, root } = stock;
    let service = Service::start_in(sandbox, DaemonOptions::default());
    let Service { daemon, sandbox, .. } = service;
    daemon.stop().expect("an end");
    let stock = Stock { python, sandbox, data, settings, root };
    let full = Migrate { limit: "trap '' XFSZ; ulimit -f 0; ", ..stock.migrate() };
    let before = Stock::contents(&target);
    let outcome = full.run();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    assert_eq!(Stock::contents(&target), before);
    stock.migrate().says(&["2 taken over"]);
}
