//! Peers who connect and are nobody: however many, they take little room, and nobody else's.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Client, DaemonOptions, Via, is_root, skip, wait_until};
use tokio::runtime::Runtime;
use transport::tls::{CertificateDates, ClientTls, Identity, RootCertificate};
use transport::{Connection, Endpoint, Transport};
use transport_unix::UnixTransport;

use crate::python::Python;
use crate::support::{Expected, NO_INSTANCES, Service, outsider, run};

/// How many strangers the daemon bears at once: in all, and of one user.
const MOST: usize = 256;
const MOST_OF_ONE: usize = MOST / 4;
/// Descriptors on their way: connections whose end the daemon has not come to yet, files it has open.
const SOME: usize = 16;
/// Few descriptors for a daemon: about as many as are kept for files, and as many again.
const FEW: u32 = 128;
/// What is not timed still has to happen.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_crowd_takes_little_room_and_gives_it_back() {
    if !is_root() {
        return skip("needs root, to count the descriptors of a process that lets nobody look at it");
    }
    let service = Service::start();
    let first = service.first_client();
    let before = service.descriptors();
    let mut crowd = Crowd::new(&service);
    for _ in 0..6 {
        for _ in 0..25 {
            crowd.silent();
            crowd.in_the_middle_of_a_handshake();
            crowd.without_a_call(None);
            reset(&service);
        }
        // Of the same user, who is a stranger too until the handshake is over.
        run(&first, &["list"]).prints(NO_INSTANCES);
        let now = service.descriptors();
        assert!(now < before + MOST + SOME, "{now} descriptors, {before} before");
    }
    wait_until("one user has one user's room", SOON, || service.descriptors() <= before + MOST_OF_ONE)
        .unwrap();
    // They are there: without them all of this would say nothing.
    assert!(service.descriptors() > before + MOST_OF_ONE / 2, "{} descriptors", service.descriptors());

    drop(crowd);
    wait_until("their room is given back", SOON, || service.descriptors() <= before).unwrap();
    run(&first, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn who_does_not_finish_the_handshake_is_cut() {
    let service = Service::start();
    let first = service.first_client();
    let began = Instant::now();
    let mut crowd = Crowd::new(&service);
    crowd.silent();
    crowd.in_the_middle_of_a_handshake();
    // Who has finished it has more time.
    crowd.without_a_call(None);
    crowd.without_a_call(Some(&first));
    for stream in &mut crowd.raw {
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).expect("an end"), 0);
    }
    let passed = began.elapsed();
    assert!(passed > Duration::from_secs(9), "cut after {passed:?}");
    let before = service.descriptors();
    drop(crowd);
    wait_until("both of the others are gone", SOON, || service.descriptors() == before - 2).unwrap();
}

#[test]
fn one_users_crowd_takes_nothing_from_another_user() {
    let Some(python) = several_users() else { return };
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let before = service.descriptors();
    // They were there before the crowd, and are the oldest.
    let others = Users::start(&python, &service, 1, 8);
    let mut crowd = Crowd::new(&service);
    (0..300).for_each(|_| crowd.silent());
    let other = service.user_as("other", outsider());
    run(&other, &["authenticate", "open sesame"]).prints("");
    run(&other, &["list"]).prints(NO_INSTANCES);
    let expected = before + 8 + MOST_OF_ONE;
    // Not exactly: a connection that has just ended, or a file, may have been open when they were counted before.
    wait_until("the crowd has one user's room", SOON, || service.descriptors() <= expected).unwrap();
    let beside_the_others = service.descriptors().saturating_sub(8);
    assert!(beside_the_others > before + MOST_OF_ONE / 2, "they are all there");
    others.go();
    wait_until("the others go by themselves", SOON, || service.descriptors() <= beside_the_others).unwrap();
}

#[test]
fn a_crowd_of_many_users_keeps_nobody_out() {
    let Some(python) = several_users() else { return };
    let service = Service::start();
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    let before = service.descriptors();
    let users = Users::start(&python, &service, 8, 2 * MOST_OF_ONE);
    let other = service.user_as("other", outsider());
    run(&other, &["authenticate", "open sesame"]).prints("");
    for user in [&first, &other] {
        run(user, &["list"]).prints(NO_INSTANCES);
    }
    wait_until("there is room for so many", SOON, || service.descriptors() <= before + MOST).unwrap();
    assert!(service.descriptors() > before + MOST - SOME, "{} descriptors", service.descriptors());
    users.go();
    wait_until("their room is given back", SOON, || service.descriptors() <= before).unwrap();
}

/// New strangers all the time, as fast as the daemon takes them.
#[test]
fn a_stream_of_strangers_keeps_nobody_else_out() {
    if !is_root() {
        return skip("needs root, to act as several users");
    }
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let other = service.user_as("other", outsider());
    let before = service.descriptors();
    let came = while_strangers_come(
        || connect(&service),
        || {
            run(&other, &["authenticate", "open sesame"]).prints("");
            for _ in 0..10 {
                run(&other, &["list"]).prints(NO_INSTANCES);
            }
        },
    );
    assert!(came > 1000, "{came} strangers came");
    wait_until("their room is given back", SOON, || service.descriptors() <= before).unwrap();
}

/// The same over TCP, where they are the trusted client's own source.
#[test]
fn a_stream_of_strangers_over_tcp_keeps_no_trusted_client_out() {
    if !is_root() {
        return skip("needs root, to count the descriptors of a process that lets nobody look at it");
    }
    let service = Service::start_with(DaemonOptions { via: Via::Tcp, ..DaemonOptions::default() });
    let first = service.first_client();
    let before = service.descriptors();
    let (_, port) = service.daemon.address().rsplit_once(':').expect("a port");
    let at = format!("127.0.0.1:{port}");
    let connect = || TcpStream::connect(&at).expect("a queue that goes on");
    let came = while_strangers_come(connect, || {
        for _ in 0..3 {
            run(&first, &["list"]).prints(NO_INSTANCES);
        }
    });
    assert!(came > 1000, "{came} strangers came");
    wait_until("their room is given back", SOON, || service.descriptors() <= before).unwrap();
}

/// A daemon that may have few descriptors has files to open all the same.
#[test]
fn strangers_leave_descriptors_for_the_daemons_files() {
    if !is_root() {
        return skip("needs root, to act as several users");
    }
    let options = DaemonOptions { descriptors: Some(FEW), ..DaemonOptions::default() };
    let service = Service::start_with(options);
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    let other = service.user_as("other", outsider());
    run(&other, &["authenticate", "open sesame"]).prints("");
    // As many trusted clients as fit beside tunnels, but for a few that are yet to come.
    let mut crowd = Crowd::new(&service);
    (0..28).for_each(|_| crowd.without_a_call(Some(&first)));
    let came = while_strangers_come(
        || connect(&service),
        || {
            for round in 0..5 {
                run(&other, &["set", &format!("local.passphrase=round {round}")]).prints("");
                run(&other, &["list"]).prints(NO_INSTANCES);
            }
        },
    );
    assert!(came > 1000, "{came} strangers came");
    assert!(!service.daemon.logged().contains("Too many open files"), "{}", service.daemon.logged());
    // The changes were made: they are what a new daemon finds.
    drop(crowd);
    let service = service.restart(nix::sys::signal::Signal::SIGTERM);
    run(&service.user("user"), &["authenticate", "round 4"]).prints("");
}

/// Peers of the user who runs the test, who stay until they are dropped.
struct Crowd<'a> {
    service: &'a Service,
    raw: Vec<UnixStream>,
    connections: Vec<Box<dyn Connection>>,
    runtime: Runtime,
}

impl<'a> Crowd<'a> {
    fn new(service: &'a Service) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { service, raw: Vec::new(), connections: Vec::new(), runtime }
    }

    /// One who says nothing.
    fn silent(&mut self) {
        self.raw.push(connect(self.service));
    }

    /// One who stops in the middle of the first message.
    fn in_the_middle_of_a_handshake(&mut self) {
        let mut stream = connect(self.service);
        stream.write_all(&BEGINNING_OF_A_CLIENT_HELLO).expect("a peer that reads");
        self.raw.push(stream);
    }

    /// One who finishes the handshake and calls nothing, with a user's certificate or none.
    fn without_a_call(&mut self, user: Option<&Client>) {
        let read = |path: &Path| fs::read(path).expect("a file");
        let root = RootCertificate::from_pem(&read(&self.service.daemon.root_certificate)).expect("a root");
        let identity = user.map(|user| {
            Identity::from_pem(&read(&user.certificate()), &read(&user.key())).expect("an identity")
        });
        let tls = ClientTls::new(root, CertificateDates::Enforced, identity).expect("TLS");
        let endpoint = Endpoint::Unix(self.service.daemon.socket.clone());
        let dialed = self.runtime.block_on(UnixTransport::default().dial(&endpoint, tls));
        self.connections.push(dialed.expect("a connection"));
    }
}

/// A record of TLS 1.0, for the sake of old servers, with a ClientHello of 508 bytes, of which TLS 1.2 is
/// the first.
const BEGINNING_OF_A_CLIENT_HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[track_caller]
fn connect(service: &Service) -> UnixStream {
    UnixStream::connect(&service.daemon.socket).expect("a daemon that accepts")
}

/// One who talks about something else and leaves before the answer, which resets the connection.
fn reset(service: &Service) {
    connect(service).write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a peer that reads");
}

/// Does `work` while silent strangers come and, once there are many, go. Returns how many came.
fn while_strangers_come<S: Send>(connect: impl Fn() -> S + Sync, work: impl FnOnce()) -> usize {
    let (over, came) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        // It ends also where the work fails, or the test would not.
        let _until = SetWhenDropped(&over);
        let (over, came, connect) = (&over, &came, &connect);
        scope.spawn(move || {
            let mut held = std::collections::VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                held.push_back(connect());
                if held.len() > 300 {
                    held.pop_front();
                }
                came.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_until("strangers come", SOON, || came.load(Ordering::Relaxed) > 300).unwrap();
        work();
    });
    came.into_inner()
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Silent strangers of several users.
struct Users {
    process: Child,
    stdin: Option<ChildStdin>,
}

/// What it takes to be several users in one process.
fn several_users() -> Option<Python> {
    if !is_root() {
        skip("needs root, to act as several users");
        return None;
    }
    Python::find()
}

impl Users {
    /// Each of so many users makes so many connections; returns when they are made.
    fn start(python: &Python, service: &Service, users: u32, each: usize) -> Self {
        let mut command = python.script("crowd.py");
        command
            .arg("--socket")
            .arg(&service.daemon.socket)
            .arg("--users")
            .arg(format!("3000-{}", 3000 + users - 1))
            .arg("--each")
            .arg(each.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("the script");
        let mut here = [0; 5];
        process.stdout.take().expect("its output").read_exact(&mut here).expect("the users are here");
        assert_eq!(&here, b"here\n");
        let stdin = process.stdin.take();
        Self { process, stdin }
    }

    /// Ends it and all of its connections.
    fn go(mut self) {
        drop(self.stdin.take());
        assert!(self.process.wait().expect("an end").success());
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
