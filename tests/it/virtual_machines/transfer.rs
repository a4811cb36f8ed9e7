//! `transfer` with a guest, by what users write.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use e2e::{Client, DaemonOptions, Outcome, Via, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Host;
use crate::support::{Expected, below, run, sha256};

/// Under emulation, with other tests beside it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Guest {
    user: Client,
    /// The user's working directory.
    here: std::path::PathBuf,
}

impl Guest {
    fn transfer(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.user.command(&[&["transfer"], arguments].concat());
        Outcome::of(command.current_dir(&self.here), "").expect("the client runs")
    }

    fn transfer_bytes(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.user.command(&[&["transfer"], arguments].concat());
        let command = command.current_dir(&self.here);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
        let mut to_child = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let feeding = std::thread::spawn(move || {
            // A client that does not read has its reason, which it tells.
            let _ = to_child.write_all(&input);
        });
        let output = child.wait_with_output().expect("an end");
        feeding.join().expect("fed");
        output
    }

    /// What a command in the guest prints.
    fn sh(&self, script: &str) -> String {
        let ran = run(&self.user, &["exec", "web", "--", "sh", "-c", script]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{script}: {ran:?}");
        ran.stdout
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.here.join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.here.join(name)).expect("a file").permissions().mode() & 0o7777
    }
}

fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u8).collect()
}

#[test]
fn files_go_to_a_guest_and_come_back() {
    let options = DaemonOptions { also: vec![Via::Tcp], ..DaemonOptions::default() };
    let Some(host) = Host::start_with(options) else { return };
    let user = host.service().first_client();
    let here = host.service().sandbox.path("here");
    fs::create_dir(&here).expect("a directory");
    let image = host.image.display().to_string();
    let launched = run(&user, &["launch", &image, "--name", "web", "--memory", "128M", "--disk", "512M"]);
    assert_eq!(launched.code, 0, "{launched:?}");
    let guest = Guest { user, here };

    single_files(&guest);
    trees(&guest);
    streams(&guest);
    much(&guest, &host);
    what_cannot_be_done(&guest);
    given_up(&guest);
}

fn single_files(guest: &Guest) {
    guest.file("program", b"#!/bin/sh\n", 0o750);
    guest.file("empty", b"", 0o600);
    guest.file("a b\n\u{e9}", b"odd", 0o644);
    guest.transfer(&["program", "empty", "a b\n\u{e9}", "web:"]).prints("");
    guest.transfer(&["program", "web:/tmp/other"]).prints("");
    assert_eq!(
        guest.sh("stat -c '%a %s %U' program empty a*b* /tmp/other"),
        "750 10 ubuntu\n600 0 ubuntu\n644 3 ubuntu\n750 10 ubuntu\n"
    );
    guest.sh("chmod 0710 program; chmod 6755 /tmp/other");
    guest.transfer(&["web:program", "back"]).prints("");
    fs::create_dir(guest.here.join("d")).expect("a directory");
    guest.transfer(&["web:empty", "web:a b\n\u{e9}", "web:/tmp/other", "d"]).prints("");
    assert_eq!(fs::read(guest.here.join("back")).expect("a file"), b"#!/bin/sh\n");
    assert_eq!(fs::read(guest.here.join("d/a b\n\u{e9}")).expect("a file"), b"odd");
    assert_eq!((guest.mode("back"), guest.mode("d/empty"), guest.mode("d/other")), (0o710, 0o600, 0o755));

    // A file that is there keeps its mode, on either side.
    guest.file("back", b"older", 0o640);
    guest.transfer(&["web:program", "back"]).prints("");
    guest.file("program", b"newer", 0o777);
    guest.transfer(&["program", "web:program"]).prints("");
    assert_eq!(
        (guest.mode("back"), guest.sh("stat -c %a program; cat program")),
        (0o640, "710\nnewer".into())
    );

    // By the other name of the command.
    run(&guest.user, &["copy-files", "web:program", &guest.here.join("alias").display().to_string()])
        .prints("");
    guest.transfer(&["--parents", "program", "web:new/ones/p"]).prints("");
    guest.transfer(&["--parents", "web:program", "new/ones/p"]).prints("");
    assert_eq!(guest.sh("cat new/ones/p"), "newer");
    assert_eq!(fs::read(guest.here.join("new/ones/p")).expect("a file"), b"newer");
}

fn trees(guest: &Guest) {
    let folder = guest.here.join("tree");
    fs::create_dir_all(folder.join("sub/hollow")).expect("directories");
    guest.file("tree/f", b"1", 0o644);
    guest.file("tree/sub/ a", b"2", 0o600);
    guest.file("tree/sub/two\nlines", b"3", 0o755);
    symlink("../f", folder.join("sub/link")).expect("a link");
    fs::set_permissions(folder.join("sub/hollow"), PermissionsExt::from_mode(0o511)).expect("set");
    guest.transfer(&["-r", "tree", "web:"]).prints("");
    guest.sh("ln -s /etc/passwd tree/out");
    let partly = guest.transfer(&["--recursive", "web:tree", "copy"]);
    partly.fails(
        2,
        "web:tree/out: is a link to outside",
        &["transfer failed: one file or directory was not"],
    );
    guest.sh("rm tree/out");
    guest.transfer(&["--recursive", "web:tree", "copied"]).prints("");
    let shown = |name: &str| {
        let top = guest.here.join(name);
        let mut all: Vec<_> = below(&top)
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
                let mode = fs::symlink_metadata(&path).expect("a file").permissions().mode();
                (name, mode, fs::read_link(&path).ok(), fs::read(&path).ok())
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(shown("copied"), shown("tree"));
    assert_eq!(shown("copy"), shown("tree"));
    assert!(shown("tree").len() > 3);
    assert_eq!(guest.mode("copied/sub/hollow"), 0o511);
}

fn streams(guest: &Guest) {
    let content = bytes(300_000);
    let sent = guest.transfer_bytes(&["-", "web:stream"], &content);
    assert!(sent.status.success() && sent.stdout.is_empty(), "{sent:?}");
    let received = guest.transfer_bytes(&["web:stream", "-"], b"");
    assert!(received.status.success() && received.stdout == content);
    assert_eq!(guest.sh("cat stream | wc -c").trim(), "300000");
}

fn much(guest: &Guest, host: &Host) {
    let content = bytes(10_000_000);
    guest.file("big", &content, 0o644);
    let address = host.service().daemon.address_over(Via::Tcp).expect("an address").to_owned();
    let over_tcp = Guest { user: guest.user.clone().at(&address), here: guest.here.clone() };
    over_tcp.transfer(&["big", "web:"]).prints("");
    assert_eq!(guest.sh("sha256sum <big").split(' ').next(), Some(sha256(&content).as_str()));
    over_tcp.transfer(&["web:big", "big-back"]).prints("");
    assert_eq!(sha256(&fs::read(guest.here.join("big-back")).expect("a file")), sha256(&content));
}

fn what_cannot_be_done(guest: &Guest) {
    guest.sh("echo secret >locked; chmod 0 locked");
    for (arguments, code, beginning, next) in [
        (&["none", "web:"][..], 2, "transfer failed: cannot copy none: ", "Check the path"),
        (
            &["web:none", "x"],
            2,
            "transfer failed: cannot copy web:none: there is no such file",
            "exec web -- ls",
        ),
        (&["web:locked", "x"], 2, "transfer failed: cannot copy web:locked: permission denied", "sudo"),
        (&["program", "web:/etc/x"], 2, "transfer failed: cannot copy web:/etc/x: permission denied", "sudo"),
        (&["program", "web:no/where"], 2, "transfer failed: cannot copy web:no: there is no", "--parents"),
        (&["web:program", "no/where"], 2, "transfer failed: cannot copy no: there is no", "--parents"),
        (&["tree", "web:"], 2, "transfer failed: cannot copy tree: is a directory", "--recursive"),
        (&["web:tree", "."], 2, "transfer failed: cannot copy web:tree: is a directory", "--recursive"),
        (&["web:tree", "-"], 2, "transfer failed: cannot copy web:tree: is a directory", "tar"),
        (&["-", "web:"], 2, "transfer failed: cannot copy web:.: is a directory", "Name a file"),
        (
            &["program", "nowhere:x"],
            2,
            "transfer failed: instance \"nowhere\" does not exist",
            "multipass list",
        ),
        (&["a", "b"], 1, "either the source or the destination has to be in an instance", "<instance>:"),
        (&["web:a", "web:b"], 1, "files cannot be copied from one instance to another", "this machine first"),
    ] {
        guest.transfer(arguments).fails(code, beginning, &[next]);
    }
    // The others of several are copied.
    guest.sh("mkdir some");
    let partly = guest.transfer(&["none", "program", "web:some"]);
    partly.fails(2, "none: ", &["transfer failed: one file or directory was not copied"]);
    assert_eq!(guest.sh("ls -A some"), "program\n");
    assert!(!guest.here.join("x").exists() && !guest.here.join("no").exists());
}

/// Ctrl-C in the middle, on both ways.
fn given_up(guest: &Guest) {
    guest.sh("echo old >kept; mkdir half; mkfifo endless; (sleep 600 >endless) >/dev/null 2>&1 &");
    let start = |arguments: &[&str]| {
        let mut command = guest.user.command(&[&["transfer"], arguments].concat());
        command.current_dir(&guest.here).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("a client")
    };
    let end = |child: std::process::Child| {
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("a process");
        Outcome::from(child.wait_with_output().expect("an end"))
    };
    let ended = Outcome { code: 130, stdout: String::new(), stderr: String::new() };

    let mut sending = start(&["-", "web:half/file"]);
    let mut input = sending.stdin.take().expect("a pipe");
    input.write_all(b"half").expect("written");
    wait_until("a part of it is in the guest", PATIENCE, || {
        guest.sh("cat half/.m* 2>/dev/null; true") == "half"
    })
    .expect("in time");
    assert_eq!(end(sending), ended);
    drop(input);
    assert_eq!(guest.sh("ls -A half"), "");

    let here = guest.here.join("half");
    fs::create_dir(&here).expect("a directory");
    let receiving = start(&["web:endless", "half/file"]);
    wait_until("it has begun", PATIENCE, || !below(&here).is_empty()).expect("in time");
    assert_eq!(end(receiving), ended);
    assert!(below(&here).is_empty());
}
