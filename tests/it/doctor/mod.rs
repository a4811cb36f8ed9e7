//! `multipass doctor`: of each broken set-up it names the cause and what fixes it, and it changes nothing itself.

mod identity;
mod service;
mod way;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use e2e::{Account, Client, Outcome, wait_until};
use serde_json::Value;

use crate::recorder::{Record, Recorder};
use crate::support::{Expected, NO_INSTANCES, Service, VERSION, administrators, below, member, run};

/// How soon the service works once it is fixed.
const DEADLINE: Duration = Duration::from_secs(20);
/// All checks, in their order.
const CHECKS: [&str; 14] = [
    "address",
    "transport",
    "socket",
    "access",
    "connection",
    "root certificate",
    "server",
    "clock",
    "client certificate",
    "client key",
    "trust",
    "passphrase",
    "versions",
    "qemu",
];

/// What the doctor has said.
struct Diagnosis(Outcome, Value);

impl Diagnosis {
    fn of(user: &Client) -> Self {
        Self::by(&mut user.command(&["doctor", "--format", "json"]))
    }

    #[track_caller]
    fn by(command: &mut Command) -> Self {
        let outcome = Outcome::of(command, "").expect("the client runs");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
        let names: Vec<&str> =
            report["checks"].as_array().unwrap().iter().filter_map(|it| it["check"].as_str()).collect();
        assert_eq!(names, CHECKS);
        assert_eq!(report["works"], outcome.code == 0, "{outcome:?}");
        Self(outcome, report)
    }

    fn checks(&self) -> &[Value] {
        self.1["checks"].as_array().expect("checks")
    }

    fn status(&self, check: &str) -> &str {
        self.find(check)["status"].as_str().expect("a status")
    }

    fn find(&self, check: &str) -> &Value {
        self.checks().iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("no {check}"))
    }

    /// This check has found the first problem, with such a cause; returns the command that fixes it.
    #[track_caller]
    fn blames(&self, check: &str, cause: &str) -> String {
        let first = self.checks().iter().find(|it| it["status"] == "problem");
        let first = first.unwrap_or_else(|| panic!("no problem: {:?}", self.0));
        assert_eq!(first["check"], check, "{:?}", self.0);
        assert!(first["message"].as_str().unwrap().contains(cause), "no {cause:?}: {first}");
        assert!(!first["advice"].as_str().unwrap().is_empty(), "{first}");
        assert_eq!(self.0.code, 2, "{:?}", self.0);
        assert!(self.0.stderr.starts_with("doctor failed: "), "{:?}", self.0);
        first["command"].as_str().unwrap().to_owned()
    }

    /// Nothing is in the way.
    #[track_caller]
    fn is_content(&self) {
        assert_eq!((self.0.code, self.0.stderr.as_str()), (0, ""), "{:?}", self.0);
        assert!(self.checks().iter().all(|it| it["status"] != "problem"), "{:?}", self.0);
    }
}

/// A command as the user's shell runs it.
fn shell(user: &Client, service: &Service, command: &str) -> Command {
    let own = user.command(&[]);
    let mut shell = Command::new("sh");
    let path =
        format!("{}:{}", service.sandbox.path("").display(), std::env::var("PATH").unwrap_or_default());
    shell.args(["-c", command]).current_dir("/").env("PATH", path);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Runs a command as the user's shell does, or as root if it says so.
#[track_caller]
fn fix(user: &Client, service: &Service, command: &str) {
    let outcome = Outcome::of(&mut shell(user, service, &without_sudo(command)), "").expect("a shell");
    assert_eq!(outcome.code, 0, "{command}: {outcome:?}");
}

/// The tests are root where others need sudo.
fn without_sudo(command: &str) -> String {
    command.strip_prefix("sudo ").map_or_else(|| command.to_owned(), |rest| format!("env {rest}"))
}

/// A service that was started by a command, ended with the test.
struct Started(Child);

impl Started {
    fn by(user: &Client, service: &Service, command: &str) -> Self {
        let storage = service.daemon.data.parent().expect("a directory");
        let mut shell = shell(user, service, &format!("exec {command} 2> /dev/null"));
        Self(shell.env("MULTIPASS_STORAGE", storage).spawn().expect("a shell"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn soon_content(user: &Client) {
    let content = || run(user, &["doctor"]).code == 0;
    wait_until("the doctor is content", DEADLINE, content)
        .unwrap_or_else(|error| panic!("{error}: {:?}", run(user, &["doctor"])));
}

#[test]
fn all_is_well_with_a_trusted_client() {
    let service = Service::start();
    let user = service.first_client();
    let diagnosis = Diagnosis::of(&user);
    diagnosis.is_content();
    for check in CHECKS.iter().filter(|check| **check != "qemu") {
        assert_eq!(diagnosis.status(check), "ok", "{:?}", diagnosis.0);
    }
    let versions = diagnosis.find("versions")["message"].as_str().unwrap().to_owned();
    assert_eq!(versions, format!("multipass {VERSION}, multipassd {VERSION}"));

    let table = run(&user, &["doctor"]);
    assert!(table.stdout.ends_with("\nThis client can use the service.\n"), "{table:?}");
    assert!(table.stdout.starts_with("ok       address             unix:/"), "{table:?}");
    for (format, beginning) in
        [("csv", "Check,Status,Message,Advice,Command\naddress,ok,"), ("yaml", "works: true\n")]
    {
        let outcome = run(&user, &["doctor", "--format", format]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        assert!(outcome.stdout.starts_with(beginning), "{outcome:?}");
    }
}

/// A service that awaits its first client takes it from nearly any call.
#[test]
fn nobody_is_enrolled_by_looking() {
    let service = Service::start();
    let users = match administrators() {
        Some(group) => vec![service.user("self"), service.user_as("member", member(1001, &group))],
        None => vec![service.user("self")],
    };
    let before = service.socket();
    for user in &users {
        // Without a certificate, and with one.
        let nothing = below(&user.home);
        assert_eq!(Diagnosis::of(user).status("trust"), "problem");
        assert_eq!(below(&user.home), nothing, "nothing was made");
        assert_eq!(run(user, &["clients", "own-certificate"]).code, 0);
        Diagnosis::of(user).blames("trust", "does not trust");
        assert_eq!((service.trusted(), service.socket()), (0, before));
    }
    // The first is still awaited.
    let last = users.last().expect("a user");
    let command = Diagnosis::of(last).blames("trust", "does not trust");
    if users.len() > 1 {
        assert_eq!(command, "multipass list");
    }
    run(last, &["list"]).prints(NO_INSTANCES);
    Diagnosis::of(last).is_content();
    assert_eq!(service.trusted(), 1);
}

#[test]
fn another_service_than_the_pinned_one_hears_nothing() {
    let service = Service::start();
    let user = service.first_client();
    let server = Recorder::start("localhost:0");
    let user = user.at(&server.endpoint.to_string());
    Diagnosis::of(&user).blames("server", "is not valid under the root certificate");
    let heard = server.record();
    assert!(heard.arrived > 0);
    assert_eq!(heard, Record { arrived: heard.arrived, ..Record::default() });
}

#[test]
fn other_commands_point_to_the_doctor() {
    let service = Service::start();
    let user = service.user("user");
    for (variable, value) in [
        ("MULTIPASS_SERVER_ADDRESS", "unix:/nonexistent/socket"),
        ("MULTIPASS_ROOT_CERT", "/nonexistent/root"),
    ] {
        let mut command = user.command(&["list"]);
        let outcome = Outcome::of(command.env(variable, value), "").expect("the client runs");
        outcome.fails(2, "list failed: ", &["`multipass doctor`"]);
    }
    let first = service.first_client();
    run(&user, &["list"]).fails(2, "list failed: ", &["multipass authenticate", "`multipass doctor`"]);
    run(&first, &["info", "nothing"]).fails(2, "info failed: ", &[]);
    assert!(!run(&first, &["info", "nothing"]).stderr.contains("doctor"));
}

/// The account of an outsider whose name the tests need not know.
fn stranger() -> Account {
    Account { uid: 65534, gid: 65534, groups: Vec::new() }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}
