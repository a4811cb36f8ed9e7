//! `exec` and `shell` in a real instance, which is launched once for all of it.

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::{Client, DaemonOptions, Outcome, Via, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pty::{Terminal, has_setsid};
use crate::support::{Expected, NOT_AUTHENTICATED, run, run_with_input};
use crate::virtual_machines::Host;

/// For what a guest under emulation does.
const SOON: Duration = Duration::from_secs(30);
/// How the guest's shell asks for a command; it asks the terminal for the place of its cursor then.
const PROMPT: &str = "$ \x1b[6n";

#[test]
fn work_in_an_instance() {
    let options = DaemonOptions { also: vec![Via::Tcp, Via::Quic], ..DaemonOptions::default() };
    let Some(host) = Host::start_with(options) else { return };
    let user = host.service().first_client();
    let image = host.image.display().to_string();
    let launched = run(&user, &["launch", &image, "--name", "web", "--memory", "128M", "--disk", "512M"]);
    assert_eq!(launched.code, 0, "{launched:?}");

    codes_words_and_places(&user);
    input_and_output(&host, &user);
    by_a_remote(&host, &user);
    signals_without_a_terminal(&user);
    if has_setsid() {
        a_terminal(&user);
        a_revoked_shell(&host, &user);
    }
    not_running(&user);
    a_daemon_that_stops(host, &user);
}

fn exec(user: &Client, command: &[&str]) -> Outcome {
    run(user, &[&["exec", "web", "--"], command].concat())
}

fn codes_words_and_places(user: &Client) {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("exit 255", 255)] {
        let outcome = exec(user, &["sh", "-c", script]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (code, ""), "{script}: {outcome:?}");
    }
    let outcome = exec(user, &["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!(outcome, Outcome { code: 3, stdout: "out\n".to_owned(), stderr: "err\n".to_owned() });
    let missing = exec(user, &["no-such-command"]);
    assert!(missing.code == 127 && missing.stderr.contains("no-such-command"), "{missing:?}");
    exec(user, &["printf", "%s|", "a b", "", "$HOME", "it's", "*"]).prints("a b||$HOME|it's|*|");
    run(user, &["exec", "web", "--working-directory", "/etc", "pwd"]).prints("/etc\n");
    let nowhere = run(user, &["exec", "web", "-d", "/no such", "--", "pwd"]);
    assert!(nowhere.code != 0 && nowhere.stderr.contains("/no such"), "{nowhere:?}");
    run(user, &["exec", "nosuch", "--", "ls"]).fails(
        2,
        "exec failed: instance \"nosuch\" does not exist",
        &["multipass list"],
    );
}

fn input_and_output(host: &Host, user: &Client) {
    run_with_input(user, &["exec", "web", "--", "cat"], "typed\n").prints("typed\n");
    let shell = run_with_input(user, &["shell", "web"], "echo in the shell; exit 4\n");
    assert_eq!((shell.code, shell.stdout.as_str()), (4, "in the shell\n"), "{shell:?}");

    // With no period that is one of any buffer's.
    let data: Vec<u8> = (0..10_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (from, to) = (user.home.join("from"), user.home.join("to"));
    fs::write(&from, &data).unwrap();
    for via in [Via::Unix, Via::Tcp, Via::Quic] {
        let user = user.clone().at(host.service().daemon.address_over(via).unwrap());
        let status = user
            .command(&["exec", "web", "--", "cat"])
            .stdin(File::open(&from).unwrap())
            .stdout(File::create(&to).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "{via:?}: {status:?}");
        assert!(fs::read(&to).unwrap() == data, "{via:?}");
    }

    // Whoever reads goes away.
    let mut child = user
        .command(&["exec", "web", "--", "yes"])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 2]).unwrap();
    let mut status = None;
    wait_until("the client ends", SOON, || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .unwrap();
    assert_eq!(status.unwrap().code(), Some(141));
    wait_until("the command ends", SOON, || !runs(user, "yes")).unwrap();
}

/// Whether a command of that name runs in the guest.
fn runs(user: &Client, command: &str) -> bool {
    exec(user, &["pidof", command]).code == 0
}

fn by_a_remote(host: &Host, user: &Client) {
    let user = user.clone().at("");
    let address = host.service().daemon.address_over(Via::Quic).unwrap();
    let added =
        run(&user, &["remote", "add", "lab", address, "--fingerprint", &host.service().fingerprint()]);
    assert_eq!(added.code, 0, "{added:?}");
    let outcome = run(&user, &["exec", "--remote", "lab", "web", "--", "sh", "-c", "echo there; exit 3"]);
    assert_eq!(outcome, Outcome { code: 3, stdout: "there\n".to_owned(), stderr: String::new() });
    run(&user, &["--remote", "lab", "exec", "nosuch", "--", "ls"]).fails(2, "exec failed on lab: ", &[]);
}

fn signals_without_a_terminal(user: &Client) {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut child =
            user.command(&["exec", "web", "--", "sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap();
        wait_until("the command runs", SOON, || runs(user, "sleep")).unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        wait_until("the command ends", SOON, || !runs(user, "sleep")).unwrap();
    }
}

fn a_terminal(user: &Client) {
    let mut terminal = Terminal::run(user, &["shell", "web"]);
    terminal.waits_for(PROMPT);
    assert!(!terminal.echo(), "the guest's terminal shows what is typed");
    terminal.types("stty size\r");
    terminal.waits_for(&format!("\r\n24 80\r\n~ {PROMPT}"));
    terminal.resize(101, 31);
    // What is typed may be there before the size is.
    terminal.types("until stty size | grep 31.101; do sleep 1; done\r");
    terminal.waits_for(&format!("\r\n31 101\r\n~ {PROMPT}"));
    terminal.types("echo be''gun; sleep 1000; echo ended with $?\r");
    terminal.waits_for("begun\r\n");
    // The guest's shell loses a key that comes before its command runs.
    wait_until("the command runs", SOON, || runs(user, "sleep")).unwrap();
    terminal.types("\x03");
    terminal.waits_for(PROMPT);
    terminal.types("exit 9\r");
    let left = terminal.ends();
    assert_eq!((left.code, left.echo), (Some(9), true), "{:?}", left.shown);

    // A signal from elsewhere ends the client, and the terminal is as it was.
    let mut terminal = Terminal::run(user, &["exec", "web", "--", "cat"]);
    terminal.types("x\r");
    terminal.waits_for("x\r\nx\r\n");
    terminal.signal(Signal::SIGTERM);
    let left = terminal.ends();
    assert_eq!((left.code, left.echo), (Some(143), true), "{:?}", left.shown);
    wait_until("the command ends", SOON, || !runs(user, "cat")).unwrap();
}

fn a_revoked_shell(host: &Host, user: &Client) {
    let other = host.service().user("other");
    run(&other, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let certificate = other.certificate().display().to_string();
    assert_eq!(run(user, &["clients", "add", "--cert", &certificate, "--name", "other"]).code, 0);
    let mut shell = Terminal::run(&other, &["shell", "web"]);
    shell.waits_for(PROMPT);
    shell.types("sleep 1000\r");
    wait_until("the command runs", SOON, || runs(user, "sleep")).unwrap();
    assert_eq!(run(user, &["clients", "revoke", "other"]).code, 0);
    let revoked = Instant::now();
    let left = shell.ends();
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    assert_eq!((left.code, left.echo), (Some(2), true), "{:?}", left.shown);
    assert!(left.shown.contains("shell failed: The client is not authenticated"), "{:?}", left.shown);
    wait_until("the command ends", SOON, || !runs(user, "sleep")).unwrap();
}

fn not_running(user: &Client) {
    run(user, &["stop", "web"]).prints("");
    exec(user, &["true"]).fails(2, "exec failed: instance \"web\" is not running", &["multipass start web"]);
    let shell = run_with_input(user, &["shell", "web"], "echo up; exit 5\n");
    assert_eq!((shell.code, shell.stdout.as_str()), (5, "up\n"), "{shell:?}");
}

fn a_daemon_that_stops(host: Host, user: &Client) {
    let child = user
        .command(&["exec", "web", "--", "sleep", "1000"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the command runs", SOON, || runs(user, "sleep")).unwrap();
    host.service().daemon.signal(Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.starts_with("exec failed: The service is stopping."), "{told}");
}
