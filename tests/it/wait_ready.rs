//! `multipass wait-ready`.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::wait_until;
use nix::sys::signal::Signal;

use crate::support::{Expected, Service, run};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_service_that_listens_is_ready() {
    let service = Service::start();
    let user = service.first_client();
    run(&user, &["wait-ready"]).prints("");
    run(&user, &["wait-ready", "--timeout", "5"]).prints("");
}

#[test]
fn it_waits_for_a_service_that_starts_later() {
    let service = Service::start();
    let user = service.first_client();
    let Service { daemon, sandbox, .. } = service;
    daemon.stop().expect("an end");

    let log = sandbox.path("wait-ready.log");
    let mut waiting = user
        .command(&["wait-ready", "-vvvv"])
        .stdin(Stdio::null())
        .stderr(File::create(&log).expect("a file"))
        .spawn()
        .expect("the client runs");
    let has_tried = || fs::read_to_string(&log).unwrap_or_default().contains("cannot connect");
    wait_until("wait-ready tries", PATIENCE, has_tried).expect("an attempt");
    assert!(waiting.try_wait().expect("a state").is_none(), "it gave up");

    let _service = Service::start_in(sandbox, Default::default());
    let mut status = None;
    wait_until("wait-ready ends", PATIENCE, || {
        status = waiting.try_wait().expect("a state");
        status.is_some()
    })
    .expect("an end");
    assert!(status.expect("a status").success());
}

#[test]
fn it_gives_up_when_its_time_is_over() {
    let service = Service::start();
    let user = service.first_client();
    service.daemon.stop_with(Signal::SIGTERM).expect("an end");
    let start = Instant::now();
    run(&user, &["wait-ready", "--timeout", "1"]).fails(
        2,
        "wait-ready failed: ",
        &["not ready", "multipassd"],
    );
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    run(&user, &["wait-ready", "--timeout", "0"]).fails(2, "wait-ready failed: ", &[]);
}
