//! A trust file written by hand before the daemon's start, as administrators and installers do.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Client, Daemon, DaemonOptions, Sandbox};
use nix::sys::signal::Signal;

use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, administrators, below, mode, run};

/// Users with certificates that their own clients made, and no daemon yet.
struct Before {
    sandbox: Sandbox,
    trust_file: PathBuf,
}

impl Before {
    fn new(names: &[&str]) -> Self {
        let sandbox = Sandbox::of_this_build().expect("a sandbox");
        // Each client makes its certificate as it calls on a service, and is not trusted by that one.
        let elsewhere =
            Daemon::start(&sandbox, "elsewhere", &DaemonOptions::default()).expect("a daemon that listens");
        for name in names {
            let user = Client::new(&sandbox, name, None, &elsewhere).expect("a home");
            run(&user, &["authenticate", "guess"]).fails(2, "authenticate failed: ", &[]);
        }
        let directory = sandbox.path("service/data/authenticated-certs");
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&directory).expect("made");
        Self { sandbox, trust_file: directory.join("multipass_client_certs.pem") }
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.sandbox.path(name).join(".local/share/multipass-client-certificate/multipass_cert.pem")
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.certificate(name)).expect("a certificate")
    }

    /// Starts the daemon on that file.
    fn start(self, text: &str) -> Service {
        fs::write(&self.trust_file, text).expect("written");
        Service::start_in(self.sandbox, DaemonOptions::default())
    }
}

/// What was set aside, in the order of the files' names.
fn set_aside(service: &Service) -> Vec<String> {
    let directory = service.trust_file().parent().expect("a directory").to_owned();
    let mut paths: Vec<PathBuf> = below(&directory)
        .into_iter()
        .filter(|path| path.display().to_string().contains(".damaged-"))
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}

#[test]
fn certificates_appended_with_cat_are_trusted() {
    let before = Before::new(&["alice", "bob", "carol"]);
    for name in ["alice", "bob"] {
        let status = Command::new("sh")
            .args(["-c", "cat \"$1\" >> \"$2\"", "sh"])
            .args([&before.certificate(name), &before.trust_file])
            .status()
            .expect("a shell");
        assert!(status.success());
    }
    let written = fs::read_to_string(&before.trust_file).expect("text");
    let service = before.start(&written);
    for name in ["alice", "bob"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    // There are clients: nobody else is the first.
    run(&service.user("carol"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(service.trusted(), 2);
    assert_eq!(set_aside(&service), [""; 0]);
}

#[test]
fn the_socket_is_open_from_the_start() {
    let Some(_) = administrators() else { return };
    let before = Before::new(&["alice"]);
    let text = before.text("alice");
    let service = before.start(&text);
    assert_eq!(service.socket(), (0, 0, 0o666));
}

#[test]
fn line_ends_comments_and_blank_lines_do_not_matter_and_are_kept() {
    let before = Before::new(&["alice", "bob", "carol", "dave"]);
    let text = format!(
        "\u{feff}# Trusted clients, kept by hand.\r\n\r\n{}\r\n# bob\n{}\n{}some words",
        before.text("alice").replace('\n', "\r\n"),
        // No newline between two blocks, as after an editor that ends files without one.
        before.text("bob").trim_end(),
        before.text("carol"),
    );
    let service = before.start(&text);
    assert_eq!(fs::read_to_string(service.trust_file()).expect("text"), text);
    let alice = service.user("alice");
    for name in ["alice", "bob", "carol"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    run(&alice, &["set", "local.passphrase=open sesame"]).prints("");
    run(&service.user("dave"), &["authenticate", "open sesame"]).prints("");

    // The next write adds to what was there and changes none of it.
    let written = fs::read_to_string(service.trust_file()).expect("text");
    assert!(written.starts_with(&text), "{written}");
    assert_eq!(service.trusted(), 4);
    let service = service.restart(Signal::SIGTERM);
    for name in ["alice", "bob", "carol", "dave"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
}

#[test]
fn damage_costs_nobody_else_the_trust_and_is_set_aside() {
    for case in ["torn at the end", "torn in the middle", "garbled"] {
        let before = Before::new(&["alice", "bob", "torn", "late"]);
        let (alice, bob, torn) = (before.text("alice"), before.text("bob"), before.text("torn"));
        let half = &torn[..torn.len() / 2];
        let garbled = torn.replacen("MII", "!!!", 1);
        let (text, damaged) = match case {
            "torn at the end" => (format!("{alice}# bob\r\n{bob}{half}"), half.to_owned()),
            "torn in the middle" => (format!("{alice}{half}\n{bob}"), format!("{half}\n")),
            _ => (format!("{alice}{garbled}{bob}"), garbled.trim_end().to_owned()),
        };
        let service = before.start(&text);

        assert_damage_was_dealt_with(&service, &text, &damaged, case);
        run(&service.user("alice"), &["set", "local.passphrase=open sesame"]).prints("");
        run(&service.user("late"), &["authenticate", "open sesame"]).prints("");
        assert_eq!(set_aside(&service), [damaged.as_str()], "{case}");
        let service = service.restart(Signal::SIGTERM);
        for name in ["alice", "bob", "late"] {
            run(&service.user(name), &["list"]).prints(NO_INSTANCES);
        }
        // Reported once: there is no damage any more.
        assert_eq!(service.daemon.logged().matches("damaged-").count(), 1, "{case}");
        run(&service.user("torn"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    }
}

#[track_caller]
fn assert_damage_was_dealt_with(service: &Service, text: &str, damaged: &str, case: &str) {
    for name in ["alice", "bob"] {
        run(&service.user(name), &["list"]).prints(NO_INSTANCES);
    }
    run(&service.user("torn"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let log = service.daemon.logged();
    let report = log.lines().find(|line| line.contains("ERROR")).expect("a report");
    assert!(report.contains("damaged") && report.contains("multipass_client_certs.pem.damaged-"), "{report}");
    assert_eq!(set_aside(service), [damaged], "{case}");
    assert_eq!(
        fs::read_to_string(service.trust_file()).expect("text"),
        text.replacen(damaged, "", 1),
        "{case}"
    );
}

#[test]
fn a_file_of_nothing_but_damage_is_not_an_empty_one() {
    let before = Before::new(&["alice"]);
    let alice = before.text("alice");
    let half = &alice[..alice.len() / 2];
    let service = before.start(half);
    run(&service.user("alice"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(set_aside(&service), [half]);
    // Nor is it one at the next start.
    let service = service.restart(Signal::SIGTERM);
    run(&service.user("alice"), &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    assert_eq!(service.trusted(), 0);
}

#[test]
fn what_was_made_by_hand_is_closed_to_others() {
    let before = Before::new(&["alice", "bob"]);
    let data = before.sandbox.path("service/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("opened");
    let text = before.text("alice");
    let service = before.start(&text);
    assert_eq!(mode(&data), 0o700);
    run(&service.user("alice"), &["set", "local.passphrase=open sesame"]).prints("");
    run(&service.user("bob"), &["authenticate", "open sesame"]).prints("");
    assert_closed(&data);
}

#[track_caller]
fn assert_closed(data: &Path) {
    for path in below(data) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}
