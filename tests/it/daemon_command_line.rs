//! The command line of `multipassd`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use e2e::{DaemonOptions, Outcome, Sandbox, skip};

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
            "recover",
            "enroll-installer",
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
fn the_fingerprint_is_told_that_clients_elsewhere_compare() {
    let service = Service::start();
    let storage = service.daemon.data.parent().expect("a directory");
    let mut command = Command::new(service.sandbox.path("multipassd"));
    let told =
        Outcome::of(command.arg("fingerprint").env("MULTIPASS_STORAGE", storage), "").expect("it runs");
    let text = std::fs::read(&service.daemon.root_certificate).expect("a root certificate");
    let root = transport::tls::RootCertificate::from_pem(&text).expect("a root certificate");
    told.prints(&format!("{}\n", root.fingerprint()));
    let logged = format!("by the fingerprint {}", root.fingerprint());
    assert!(service.daemon.logged().contains(&logged), "{}", service.daemon.logged());

    // Where no daemon has run, there is none; and none is begun.
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    multipassd(&sandbox, &["fingerprint"]).fails(1, "", &["no root certificate", "MULTIPASS_STORAGE"]);
    assert!(!sandbox.path("storage").exists(), "nothing was begun");
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

/// To look at other users' machines, and find none, is no answer.
#[test]
fn who_cannot_see_the_machines_is_not_told_that_none_run() {
    if !e2e::is_root() {
        return skip("needs root, to run it as another user");
    }
    let service = Service::start();
    let storage = service.daemon.data.parent().expect("a directory");
    for (storage, part) in [
        (storage.to_owned(), "Permission denied"),
        (service.sandbox.path("none"), "there is no daemon's data in"),
    ] {
        let mut command = Command::new(service.sandbox.path("multipassd"));
        command.arg("stop-machines").env("MULTIPASS_STORAGE", &storage).uid(4001).gid(4001);
        let outcome = Outcome::of(&mut command, "").expect("it runs");
        let path = storage.display().to_string();
        outcome.fails(
            1,
            "",
            &["cannot look for machines", &path, part, "run this as the user who runs multipassd"],
        );
    }
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

#[test]
fn settings_come_from_a_file_and_the_environment_too() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let file = sandbox.path("multipassd.toml");
    fs::write(&file, "verbosity = \"debug\"\n").expect("a file");
    let service = Service::start_in(
        sandbox,
        DaemonOptions {
            arguments: vec!["--config".to_owned(), file.display().to_string()],
            ..DaemonOptions::default()
        },
    );
    assert!(service.daemon.logged().contains("DEBUG"), "{}", service.daemon.logged());
}

#[test]
fn settings_that_are_not_understood_are_refused_by_name() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let file = sandbox.path("multipassd.toml");
    for (text, parts) in [
        ("adress = \"unix:/x\"", ["adress", "multipassd.toml"]),
        ("verbosity = \"loud\"", ["loud", "multipassd.toml"]),
        ("address = \"ssh://x\"", ["no known transport", "multipassd.toml"]),
    ] {
        fs::write(&file, text).expect("a file");
        let outcome = multipassd(&sandbox, &["--config", &file.display().to_string()]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        for part in parts {
            assert!(outcome.stderr.contains(part), "no {part:?}: {outcome:?}");
        }
    }
    multipassd(&sandbox, &["--config", "/nowhere.toml"]).fails(1, "", &["/nowhere.toml"]);
}

/// An ordinary user's own daemon, with nothing said about where.
#[test]
fn a_users_own_daemon_tells_how_to_reach_it() {
    if !e2e::is_root() {
        return e2e::skip("needs root, to act as a user without an environment");
    }
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let account = crate::support::outsider();
    let home = sandbox.path("home of user");
    fs::create_dir(&home).expect("a home");
    std::os::unix::fs::chown(&home, Some(account.uid), Some(account.gid)).expect("its owner");
    let command = |runtime: Option<&std::path::Path>| {
        let mut command = e2e::Account::command(Some(&account), &sandbox.path("multipassd"));
        command.env("HOME", &home).env_remove("MULTIPASS_STORAGE").env_remove("XDG_DATA_HOME");
        match runtime {
            Some(directory) => command.env("XDG_RUNTIME_DIR", directory),
            None => command.env_remove("XDG_RUNTIME_DIR"),
        };
        command
    };
    Outcome::of(&mut command(None), "").expect("the daemon runs").fails(
        1,
        "",
        &["XDG_RUNTIME_DIR", "--address"],
    );

    let told = sandbox.path("told");
    let output = fs::File::create(&told).expect("a file");
    let mut daemon = command(Some(&home)).stdout(output).spawn().expect("the daemon runs");
    let listening = e2e::wait_until("it tells", std::time::Duration::from_secs(20), || {
        fs::read_to_string(&told).is_ok_and(|text| text.lines().count() == 2)
    });
    // A shell reads what was told, and the client reaches the daemon by it.
    let mut shell = e2e::Account::command(Some(&account), std::path::Path::new("sh"));
    shell.arg("-c").arg(". \"$0\"; exec \"$1\" list").arg(&told).arg(sandbox.path("multipass"));
    shell.env("HOME", &home).env_remove("XDG_DATA_HOME");
    let outcome = Outcome::of(&mut shell, "").expect("the client runs");
    daemon.kill().expect("killed");
    daemon.wait().expect("an end");
    listening.expect("told");
    outcome.prints("No instances found.\n");
}
