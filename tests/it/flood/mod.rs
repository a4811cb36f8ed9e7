//! Thousands of strangers at once, and a daemon without a descriptor left: it stays small, serves those whom it
//! knows, and is as before when they have gone.

mod quic;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{Daemon, DaemonOptions, Sandbox, Via, is_root, skip, wait_until};
use nix::sys::signal::Signal;

use crate::python::Python;
use crate::support::{DAEMON, Expected, NO_INSTANCES, Service, outsider, run};

const KINDS: [&str; 5] = ["idle", "half-handshaken", "slow-reading", "resetting", "pinging"];
/// What they may make the daemon grow by, in KiB: 256 of them are borne at once.
const GROWTH: u64 = 40 * 1024;
/// How soon a trusted client must be served meanwhile, by a machine that has much to do.
const SERVED: Duration = Duration::from_secs(5);
/// What is not timed still has to happen.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn five_thousand_strangers_keep_no_trusted_client_from_its_work() {
    flood(Via::Unix, &KINDS, 1000);
}

/// They and the trusted client are one source there.
#[test]
fn strangers_over_tcp_keep_no_trusted_client_from_its_work() {
    flood(Via::Tcp, &KINDS, 200);
}

/// Each may be kept in memory until it is finished.
#[test]
fn calls_that_strangers_never_finish_take_little() {
    for via in [Via::Unix, Via::Tcp] {
        flood(via, &["pending"], 200);
    }
}

mod long {
    #[test]
    #[ignore = "takes a minute"]
    fn five_thousand_strangers_over_tcp_keep_no_trusted_client_from_its_work() {
        super::flood(super::Via::Tcp, &super::KINDS, 1000);
    }
}

/// So many strangers of each kind.
fn flood(via: Via, kinds: &[&str], of_each: u32) {
    if !is_root() {
        return skip("needs root, to act as several users");
    }
    let Some(python) = Python::find() else { return };
    let service = Service::start_with(DaemonOptions { via, ..DaemonOptions::default() });
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let trusted = service.user_as("trusted", outsider());
    run(&trusted, &["authenticate", "open sesame"]).prints("");
    run(&trusted, &["list"]).prints(NO_INSTANCES);
    let (descriptors, memory) = (service.descriptors(), service.resident_kib());

    let mut floods: Vec<Flood> = (3000..)
        .step_by(10)
        .zip(kinds)
        .map(|(first_user, kind)| Flood::start(&python, &service, first_user, kind, of_each))
        .collect();
    let (mut most, mut rounds, mut slowest) = (0, 0, Duration::ZERO);
    let began = Instant::now();
    while rounds < 5 || !floods.iter_mut().all(Flood::is_here) {
        assert!(began.elapsed() < 6 * SOON, "they have not come");
        let called = Instant::now();
        run(&trusted, &["list"]).prints(NO_INSTANCES);
        slowest = slowest.max(called.elapsed());
        most = most.max(service.resident_kib());
        rounds += 1;
    }
    run(&service.user_as("newcomer", outsider()), &["authenticate", "open sesame"]).prints("");
    // They are there, as many as are borne: without them all of this would say nothing.
    let many = if via == Via::Unix { 128 } else { 32 };
    assert!(service.descriptors() > descriptors + many, "{} descriptors", service.descriptors());
    most = most.max(service.resident_kib());
    floods.into_iter().for_each(Flood::go);
    wait_until("their room is given back", SOON, || service.descriptors() <= descriptors).unwrap();
    run(&trusted, &["list"]).prints(NO_INSTANCES);

    let (grown, kept) = (most.saturating_sub(memory), service.resident_kib().saturating_sub(memory));
    tell(&format!("{memory} KiB before, at most {grown} more, {kept} more after; served in {slowest:?}"));
    assert!(grown < GROWTH, "the daemon grew by {grown} KiB");
    assert!(slowest < SERVED, "a trusted client was served after {slowest:?}");
    assert!(!service.daemon.logged().contains("panicked"), "{}", service.daemon.logged());
    assert_eq!(service.restart(Signal::SIGTERM).trusted(), 3);
}

#[test]
fn a_daemon_without_a_descriptor_left_serves_again_when_there_are_some() {
    if !is_root() {
        return skip("needs root, to count the descriptors of a process that lets nobody look at it");
    }
    let service = Service::start();
    let first = service.first_client();
    let descriptors = service.descriptors();
    // No room for one more.
    limit_descriptors(&service, descriptors);
    let waiting: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(&service.daemon.socket).expect("a backlog")).collect();
    let complains = || service.daemon.logged().contains("Too many open files");
    wait_until("it runs out", SOON, complains).unwrap();
    // It has no time to say so each time.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(service.daemon.logged().matches("Too many open files").count(), 1);

    limit_descriptors(&service, 1024);
    run(&first, &["list"]).prints(NO_INSTANCES);
    drop(waiting);
    wait_until("their room is given back", SOON, || service.descriptors() <= descriptors).unwrap();
}

#[test]
fn with_too_few_descriptors_the_daemon_says_so_and_ends() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    for (descriptors, serves) in [(32, false), (79, false), (80, true)] {
        let options = DaemonOptions { descriptors: Some(descriptors), ..DaemonOptions::default() };
        if serves {
            let service = Service::start_in(sandbox, options);
            service.first_client();
            return;
        }
        let mut daemon = Daemon::spawn(&sandbox, DAEMON, &options).expect("a program");
        assert_eq!(daemon.wait().expect("an end").code(), Some(1));
        let (log, limit) = (daemon.logged(), format!("only {descriptors} files"));
        for part in ["ERROR", &limit, "needs 80", "LimitNOFILE=", "ulimit -n"] {
            assert!(log.contains(part), "no {part:?} in {log}");
        }
    }
}

/// Sets what a running daemon may have open, as its administrator could.
fn limit_descriptors(service: &Service, limit: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &service.daemon.pid().to_string()])
        .arg(format!("--nofile={limit}:"))
        .status();
    assert!(status.expect("prlimit").success());
}

#[allow(clippy::print_stderr, reason = "the test runner shows it")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}

/// Strangers of one kind.
struct Flood {
    process: Child,
    stdin: Option<ChildStdin>,
    here: Option<std::thread::JoinHandle<bool>>,
}

impl Flood {
    fn start(python: &Python, service: &Service, first_user: u32, kind: &str, count: u32) -> Self {
        let mut command = python.script("flood.py");
        command
            .args(["--address", service.daemon.address()])
            .arg("--root")
            .arg(&service.daemon.root_certificate)
            .args(["--first-user", &first_user.to_string(), "--kind", kind])
            .args(["--count", &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("the script");
        let (stdin, mut stdout) = (process.stdin.take(), process.stdout.take().expect("its output"));
        let here = std::thread::spawn(move || {
            let mut here = [0; 5];
            stdout.read_exact(&mut here).is_ok() && &here == b"here\n"
        });
        Self { process, stdin, here: Some(here) }
    }

    /// Whether all of them have come.
    fn is_here(&mut self) -> bool {
        if let Some(coming) = self.here.take_if(|coming| coming.is_finished()) {
            assert!(coming.join().expect("no panic"), "the script failed");
        }
        self.here.is_none()
    }

    /// Ends it and all of its connections.
    fn go(mut self) {
        drop(self.stdin.take());
        assert!(self.process.wait().expect("an end").success());
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
