//! The command line of `multipassd`.

use std::fs;
use std::process::Command;

use e2e::{DaemonOptions, Outcome, Sandbox};

use crate::support::{Expected, Service, VERSION};

/// `multipassd` with these arguments. Its files would go into the sandbox.
fn multipassd(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(sandbox.path("multipassd"));
    command
        .args(arguments)
        .env("MULTIPASS_STORAGE", sandbox.path("storage"))
        .env_remove("MULTIPASS_ROOT_CERT");
    Outcome::of(&mut command, "").expect("the daemon runs")
}

#[test]
fn help_names_the_documented_options() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    for argument in ["--help", "-h"] {
        let outcome = multipassd(&sandbox, &[argument]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        for part in [
            "--logger",
            "platform",
            "stderr",
            "--verbosity",
            "-V",
            "error",
            "warning",
            "info",
            "debug",
            "trace",
            "--address",
            "--help",
            "--version",
        ] {
            assert!(outcome.stdout.contains(part), "no {part} in {}", outcome.stdout);
        }
    }
}

#[test]
fn version_is_told() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    for argument in ["--version", "-v"] {
        multipassd(&sandbox, &[argument]).prints(&format!("multipassd {VERSION}\n"));
    }
}

#[test]
fn mistakes_exit_1_with_a_message() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    for (arguments, part) in [
        (&["--address", "nonsense"][..], "nonsense"),
        (&["--address", ""], "--address"),
        (&["--address", "unix:relative"], "unix:relative"),
        (&["--address", "ftp://host:21"], "ftp"),
        (&["--address", "localhost:port"], "port"),
        (&["--verbosity", "chatty"], "chatty"),
        (&["--logger", "nowhere"], "nowhere"),
        (&["--nosuch"], "--nosuch"),
        (&["extra"], "extra"),
    ] {
        multipassd(&sandbox, arguments).fails(1, "", &[part]);
    }
    assert!(!sandbox.path("storage").exists(), "nothing was begun");
}

#[test]
fn what_cannot_be_used_is_named() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let file = sandbox.path("file");
    fs::write(&file, "somebody's").expect("written");
    let [file, socket] = [&file, &sandbox.path("socket")].map(|path| path.display().to_string());
    let (at_file, at_socket) = (format!("unix:{file}"), format!("unix:{socket}"));
    let below_file = format!("{file}/root.pem");
    for (arguments, part) in [
        // Not one of the daemon's sockets: it is left alone.
        (&["--address", &at_file][..], file.as_str()),
        (&["--address", "unix:/nonexistent/socket"], "/nonexistent"),
        (&["--address", &at_socket, "--root-cert", &below_file], &below_file),
    ] {
        multipassd(&sandbox, arguments).fails(1, "", &[part]);
    }
    assert_eq!(fs::read_to_string(&file).expect("still there"), "somebody's");
}

#[test]
fn each_verbosity_is_taken_and_says_no_less_than_the_one_before() {
    let mut before = 0;
    for verbosity in ["error", "warning", "info", "debug", "trace"] {
        let service =
            Service::start_with(DaemonOptions { verbosity: Some(verbosity), ..DaemonOptions::default() });
        service.first_client();
        let lines = service.daemon.logged().lines().count();
        assert!(lines >= before, "{verbosity}: {lines} lines, {before} before");
        before = lines;
    }
    assert!(before > 0, "nothing is ever logged");
}
