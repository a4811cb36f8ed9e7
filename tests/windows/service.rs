//! `multipassd install` and `uninstall`: the daemon as the service of the machine, which there is once.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_process::skip;
use win32::access::Operation;

use crate::authenticate::{NO_INSTANCES, NOT_AUTHENTICATED};
use crate::support::{Outcome, Place, free_port, untrusted_principal, wait_until};

/// Where the service has its data, if there is no service that somebody uses.
fn data_of_the_machine() -> Option<PathBuf> {
    if !Path::new(r"C:\windows\system32\winecfg.exe").exists() {
        skip("service: needs wine, as it would replace this machine's own service");
        return None;
    }
    Some(win32::program_data().expect("the system tells").join(r"Multipass\data"))
}

/// Lets others write there, or no more, as wine keeps it.
fn let_others_write(path: &Path, may: bool) {
    let mode = if may { "a+w" } else { "go-w" };
    let here = Command::new("winepath.exe").arg("-u").arg(path).output().expect("wine has it");
    let here = String::from_utf8(here.stdout).expect("text");
    let mut chmod = Command::new("start.exe");
    let status = chmod.args(["/wait", "/unix", "/bin/chmod", mode, here.trim()]).status();
    assert!(status.expect("wine has it").success());
    // Wine does not wait for what is none of its own programs.
    wait_until("the mode is changed", || untrusted_principal(Operation::Modify, path).is_some() == may);
}

#[test]
fn the_service_is_installed_with_its_first_client_and_removed() {
    let Some(data) = data_of_the_machine() else { return };
    let (place, port) = (Place::new(), free_port());
    // Of an earlier run that was cut short.
    let _ = Outcome::of(place.command("multipassd.exe", "alice").arg("uninstall"), "");
    if data.exists() {
        fs::remove_dir_all(&data).expect("removed");
    }
    let config = place.path("config.toml");
    let root = place.path("root.pem");
    fs::write(&config, format!("address = \"localhost:{port}\"\nroot_cert = '{}'\n", root.display()))
        .expect("written");
    let install = || {
        let mut command = place.command("multipassd.exe", "alice");
        Outcome::of(command.args(["install", "--config"]).arg(&config), "")
    };
    let run = |name: &str, arguments: &[&str]| Outcome::of(place.client(name, port).args(arguments), "");

    // What would let others be the system, or trusted: beside the program, and where its files are to be.
    let (programs, above) = (place.path(""), data.parent().expect("Multipass"));
    let programs = programs.components().as_path();
    fs::create_dir_all(above).expect("made");
    for (open, parts) in [
        (programs, ["cannot be run as a service", "copy it and multipass.exe to a directory below"]),
        (
            above,
            ["nothing was installed: cannot use the data directory", "move it away, or use another place"],
        ),
    ] {
        let_others_write(open, true);
        let refused = install();
        let_others_write(open, false);
        refused.fails(1, &parts);
        refused.fails(1, &[&format!("may change {}, ", open.display()), "icacls"]);
        assert!(!data.exists(), "{refused:?}");
    }

    // A version that ran unauthenticated, with nobody enrolled, is what this one upgrades.
    let mut daemon = place.command("multipassd.exe", "alice");
    let daemon = daemon.arg("--config").arg(&config).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut daemon = daemon.expect("it runs");
    wait_until("the daemon listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    run("alice", &["list"]).fails(2, NOT_AUTHENTICATED);
    daemon.kill().and_then(|()| daemon.wait()).expect("it ends");

    let installed = install();
    assert_eq!((installed.code, &*installed.stderr), (Some(0), ""), "{installed:?}");
    assert!(installed.stdout.starts_with("The service is installed and runs.\n"), "{installed:?}");
    assert!(installed.stdout.contains(" is the first one, and trusted: "), "{installed:?}");
    assert!(data.is_dir(), "its files are the machine's");
    run("alice", &["list"]).answers(NO_INSTANCES);
    run("bob", &["list"]).fails(2, NOT_AUTHENTICATED);

    // A new version, say: it is stopped, and started again with the same clients.
    let installed = install();
    assert!(installed.stdout.contains(" is trusted already: "), "{installed:?}");
    run("alice", &["list"]).answers(NO_INSTANCES);

    let uninstall = || Outcome::of(place.command("multipassd.exe", "alice").arg("uninstall"), "");
    uninstall().prints(&format!("The service is removed. Its files stay in {}.\n", data.display()));
    run("alice", &["list"]).fails(2, &["list failed: "]);
    uninstall().fails(1, &["the service is not installed"]);
    let log = fs::read_dir(data.join("log")).expect("a log").flatten().next().expect("a file of today");
    let logged = fs::read_to_string(log.path()).expect("text");
    assert!(logged.contains("listening on ") && logged.contains("stopping"), "{logged}");
}
