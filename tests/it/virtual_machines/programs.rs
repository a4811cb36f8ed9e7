//! QEMU's programs: missing, failing, and dying.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::{Client, DaemonOptions, Sandbox, may_mount, skip, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use rpc::launch_reply::CreateOneof;
use rpc::{LaunchReply, LaunchRequest};
use tonic::Code;

use super::{Host, one};
use crate::support::{Expected, NO_INSTANCES, below, run};

const QEMU: &str = "/usr/bin/qemu-system-x86_64";
const QEMU_IMG: &str = "/usr/bin/qemu-img";
const DEADLINE: Duration = Duration::from_secs(30);

/// A daemon that finds what `there` makes of a path in the sandbox in the place of a program.
fn host_with(program: &str, there: impl FnOnce(&Path)) -> Option<Host> {
    if !may_mount() || !Path::new(program).exists() {
        skip(&format!("needs the right to mount, and {program}"));
        return None;
    }
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let file = sandbox.path("in-place");
    there(&file);
    let in_place = vec![(file, PathBuf::from(program))];
    Host::start_in(sandbox, DaemonOptions { in_place, ..DaemonOptions::default() })
}

fn script(text: &'static str) -> impl FnOnce(&Path) {
    move |file| {
        fs::write(file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// An image in which nothing starts.
fn image(host: &Host) -> String {
    let image = host.service().sandbox.path("image").display().to_string();
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &image, "16M"]).status();
    assert!(made.unwrap().success());
    image
}

fn launch(user: &Client, image: &str) -> Command {
    user.command(&["launch", "--name", "web", "--memory", "128M", "--timeout", "60", image])
}

#[track_caller]
fn fails_to_launch(host: &Host, parts: &[&str]) {
    let (user, image) = (host.service().first_client(), image(host));
    let before = host.traces();
    e2e::Outcome::of(&mut launch(&user, &image), "").unwrap().fails(2, "launch failed: ", parts);
    host.is_left_as(&before, &parts.join(" "));
    run(&user, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn a_program_that_fails_is_quoted_and_nothing_is_left() {
    for (program, text, parts) in [
        (
            QEMU,
            "echo 'it is out of order' >&2; exit 1",
            &["cannot start the virtual machine: it is out of order"][..],
        ),
        (
            QEMU,
            "kill -9 $$",
            &["cannot start the virtual machine", "QEMU exited immediately (signal: 9", "short of memory"],
        ),
        (
            QEMU_IMG,
            "echo 'no way' >&2; exit 1",
            &["cannot make the virtual machine's disk", "qemu-img ended", "no way"],
        ),
        (QEMU_IMG, "kill -9 $$", &["cannot make the virtual machine's disk", "qemu-img ended", "signal: 9"]),
    ] {
        let Some(host) = host_with(program, script(text)) else { return };
        fails_to_launch(&host, parts);
    }
}

#[test]
fn without_qemu_the_service_says_how_to_install_it() {
    for program in [QEMU, QEMU_IMG] {
        // There, and no program: as if it were not there.
        let Some(host) = host_with(program, |file| fs::write(file, "").unwrap()) else { return };
        let name = program.trim_start_matches("/usr/bin/");
        let user = host.service().user("first");
        let listed = run(&user, &["list"]);
        assert_eq!((listed.code, listed.stdout.as_str()), (0, NO_INSTANCES), "{listed:?}");
        assert!(listed.stderr.contains(name), "it is told beside the list: {listed:?}");
        let image = image(&host);
        let is_missing = format!("{name}, which is part of QEMU, is missing");
        let missing = &[is_missing.as_str(), "sudo apt-get install qemu-system-x86 qemu-utils"][..];
        let launched = e2e::Outcome::of(&mut launch(&user, &image), "").unwrap();
        launched.fails(2, "launch failed: ", missing);
        run(&user, &["start", "web"]).fails(2, "start failed: ", missing);
        let home = host.service().daemon.data.parent().unwrap();
        assert!(!home.join("cache").exists() && !home.join("data/instances").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_dies_before_it_is_up_is_told_and_gone() {
    let Some(host) = Host::start() else { return };
    let (user, image) = (host.service().first_client(), image(&host));
    let mut peer = host.peer().await;
    let certificate = host.service().sandbox.path("peer.pem");
    fs::write(&certificate, &host.identity.certificate).unwrap();
    assert_eq!(run(&user, &["clients", "add", "--cert", &certificate.display().to_string()]).code, 0);
    let before = host.traces();
    let process = || {
        let pid = host.service().daemon.data.join("instances/web/machine/pid");
        fs::read_to_string(pid).ok()?.trim().parse::<i32>().ok()
    };
    let wish = LaunchRequest { image: format!("file://{image}"), ..host.wish("web") };
    let mut replies = peer.rpc.launch(one(wish)).await.unwrap().into_inner();
    let is_waited_for = |reply: LaunchReply| matches!(reply.create_oneof, Some(CreateOneof::CreateMessage(said)) if said.starts_with("Waiting"));
    while !is_waited_for(replies.message().await.unwrap().expect("it is not up")) {}
    kill(Pid::from_raw(process().unwrap()), Signal::SIGKILL).unwrap();
    let status = replies.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    for part in ["instance \"web\" stopped before it was up", "its QEMU has ended (signal: 9"] {
        assert!(status.message().contains(part), "{status:?}");
    }
    host.is_left_as(&before, "after its end");

    // Once it was launched it stays, and can be started again.
    let launched = run(&user, &["launch", "--name", "web", "--memory", "128M", "--timeout", "1", &image]);
    launched.fails(2, "launch failed: ", &["timed out waiting"]);
    kill(Pid::from_raw(process().unwrap()), Signal::SIGKILL).unwrap();
    wait_until("it is off", DEADLINE, || run(&user, &["list"]).stdout.contains("Stopped")).unwrap();
    assert!(process().is_none());
    let log = host.service().daemon.logged();
    assert!(log.contains("instance \"web\": its QEMU has ended (signal: 9"), "{log}");
    run(&user, &["start", "--timeout", "1", "web"]).fails(2, "start failed: ", &["timed out waiting"]);
    run(&user, &["delete", "--purge", "web"]).prints("");
    host.is_left_as(&before, "at the end");
    assert!(below(&host.service().daemon.data.join("instances")).iter().all(|file| file.ends_with("lock")));
}
