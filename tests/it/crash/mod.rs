//! The daemon is killed, at any moment, while clients change all that it remembers. Whatever they were told was
//! done is done; what they were told nothing of is done or not; and nothing else has changed.
//!
//! The moments come from a seed: `MULTIPASS_TEST_SEED` gives one, otherwise the clock does.

mod ledger;
mod work;

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use e2e::{Daemon, DaemonOptions, Sandbox, Via, is_root, skip};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::Code;

use self::ledger::{Ledger, Standing};
use self::work::Work;
use crate::peer::{Peer, Place};
use crate::support::DAEMON;

/// How often a daemon of the same data is killed before another begins from nothing.
const KILLS_OF_ONE: u32 = 5;

#[test]
fn twenty_five_times() {
    kill_often(25, Via::Unix);
}

#[test]
fn ten_times_over_tcp() {
    kill_often(10, Via::Tcp);
}

#[test]
fn ten_times_over_quic() {
    kill_often(10, Via::Quic);
}

mod long {
    #[test]
    #[ignore = "takes minutes"]
    fn five_hundred_times() {
        super::kill_often(500, super::Via::Unix);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn five_hundred_times_over_tcp() {
        super::kill_often(500, super::Via::Tcp);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn five_hundred_times_over_quic() {
        super::kill_often(500, super::Via::Quic);
    }
}

#[allow(clippy::print_stderr, reason = "the test runner shows it")]
fn kill_often(times: u32, via: Via) {
    if !is_root() {
        return skip("needs root, to administer a service that trusts nobody");
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    let seed = env::var("MULTIPASS_TEST_SEED").map_or(clock as u64, |seed| seed.parse().expect("a number"));
    eprintln!("MULTIPASS_TEST_SEED={seed}");
    let mut random = Random(seed);
    let mut done = Done::default();
    let histories = (times / KILLS_OF_ONE) as usize;
    // On a busy machine little is done between two kills; then it takes more of them.
    for number in 0..10 * histories {
        if number >= histories && done.some_of_each() {
            break;
        }
        let mut history = History::new(via);
        for _ in 0..KILLS_OF_ONE {
            history.kill_once(&mut random);
            history.check();
        }
        done.add(&history);
    }
    eprintln!("at least {times} kills: {done:?}");
    assert!(done.some_of_each(), "there was nothing to lose: {done:?}");
}

/// What was certainly done.
#[derive(Debug, Default)]
struct Done {
    enrolled: usize,
    revoked: usize,
    set: usize,
}

impl Done {
    fn some_of_each(&self) -> bool {
        self.enrolled > 0 && self.revoked > 0 && self.set > 0
    }

    fn add(&mut self, history: &History) {
        self.enrolled += history.ledger.enrolled().len();
        self.revoked += history.ledger.revoked().len();
        self.set += history.ledger.times_set();
    }
}

/// Where a daemon is found: by its clients, and by root and who would be the first client, over the Unix socket.
#[derive(Clone, Debug)]
struct Places {
    clients: Place,
    local: Place,
}

impl Places {
    fn of(daemon: &Daemon) -> Self {
        let local = daemon.address_over(Via::Unix).expect("a Unix socket");
        Self { clients: Place::of(daemon), local: Place::at(daemon, local) }
    }
}

/// One data directory and the daemons that follow each other on it.
struct History {
    options: DaemonOptions,
    runtime: Runtime,
    sandbox: Sandbox,
    daemon: Option<Daemon>,
    ledger: Ledger,
    /// The root certificate, once it was published.
    root: Option<Vec<u8>>,
    /// Parts of lines that were found at the end of the audit log.
    torn: HashSet<String>,
}

impl History {
    fn new(via: Via) -> Self {
        let also = if via == Via::Unix { vec![] } else { vec![Via::Unix] };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self {
            options: DaemonOptions { via, also, ..DaemonOptions::default() },
            runtime: runtime.expect("a runtime"),
            sandbox: Sandbox::of_this_build().expect("a sandbox"),
            daemon: None,
            ledger: Ledger::default(),
            root: None,
            torn: HashSet::new(),
        }
    }

    /// Has clients work and kills the daemon meanwhile: as it starts, or as it runs.
    fn kill_once(&mut self, random: &mut Random) {
        let while_starting = random.below(4) == 0;
        if while_starting {
            self.daemon = None;
        }
        let daemon = match self.daemon.take() {
            Some(running) => running,
            None if while_starting => Daemon::spawn(&self.sandbox, DAEMON, &self.options).expect("a program"),
            None => Daemon::start(&self.sandbox, DAEMON, &self.options).expect("a daemon that listens"),
        };
        let work = {
            let _in_runtime = self.runtime.enter();
            Work::begin(&Places::of(&daemon), &self.ledger, random)
        };
        if !while_starting && random.below(5) == 0 {
            self.try_a_second_daemon();
        }
        thread::sleep(Duration::from_millis(random.below(if while_starting { 150 } else { 300 })));
        daemon.stop_with(Signal::SIGKILL).expect("an end");
        self.runtime.block_on(work.end(self.options.via));
    }

    /// It is refused, whatever the first one is doing.
    fn try_a_second_daemon(&self) {
        let options = DaemonOptions { socket: Some(self.sandbox.path("other")), ..DaemonOptions::default() };
        let mut second = Daemon::spawn(&self.sandbox, DAEMON, &options).expect("a program");
        assert_eq!(second.wait().expect("an end").code(), Some(1));
        assert!(second.logged().contains("another multipassd uses"), "{}", second.logged());
    }

    /// Starts a daemon on what the last one left, and compares what it knows with what clients know.
    fn check(&mut self) {
        self.check_audit();
        let daemon = Daemon::start(&self.sandbox, DAEMON, &self.options).expect("a new start");
        let root = fs::read(&daemon.root_certificate).expect("a root certificate");
        assert_eq!(*self.root.get_or_insert_with(|| root.clone()), root, "another root certificate");
        self.runtime.block_on(check_trust(&Places::of(&daemon), &self.ledger));
        let log = daemon.logged();
        for line in log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")) {
            assert!(line.contains("another multipassd uses"), "{line}\n{log}");
        }
        self.check_grants();
        self.daemon = Some(daemon);
    }

    /// The lines of the audit log are whole, but for what a crash has torn off at its end.
    fn check_audit(&mut self) {
        // The daemon is gone: what was published is what clients may have pinned.
        self.root = self.root.take().or_else(|| fs::read(self.sandbox.path(DAEMON).join("root.pem")).ok());
        let text = self.grants();
        self.torn.extend(text.rsplit('\n').next().filter(|last| !last.is_empty()).map(str::to_owned));
        for line in text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()) {
            assert!(self.torn.contains(line), "a torn line in the middle: {line}");
        }
    }

    fn grants(&self) -> String {
        let path = self.sandbox.path(DAEMON).join("data/audit/grants.jsonl");
        String::from_utf8(fs::read(path).unwrap_or_default()).expect("UTF-8")
    }

    /// Whatever was done is written down.
    fn check_grants(&self) {
        let text = self.grants();
        let entries: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of = |events: &[&str]| -> Vec<&Value> {
            entries.iter().filter(|entry| events.iter().any(|event| entry["event"] == *event)).collect()
        };
        let clients = |events: &[&str]| -> HashSet<String> {
            of(events).iter().filter_map(|entry| Some(entry["client"].as_str()?.to_owned())).collect()
        };
        let granted = clients(&["first_client_enrolled", "passphrase_accepted", "client_added"]);
        for client in self.ledger.enrolled() {
            assert!(granted.contains(&client), "no entry for {client}:\n{text}");
        }
        let revoked = clients(&["client_revoked"]);
        for client in self.ledger.revoked() {
            assert!(revoked.contains(&client), "no entry for the end of {client}:\n{text}");
        }
        assert!(of(&["passphrase_set"]).len() >= self.ledger.times_set(), "{text}");
    }
}

/// Compares who is trusted, and the passphrase.
async fn check_trust(places: &Places, ledger: &Ledger) {
    let place = &places.clients;
    let uncertain = ledger.all(Standing::Uncertain);
    let mut administrator = Peer::connect(&places.local, None).await.expect("a daemon");
    let trusted = administrator.trusted().await.expect("a list");
    assert_eq!(ledger.settle(&trusted), [""; 0]);
    let known = ledger.all(Standing::Trusted);
    // What it says of its clients it does: to those of whom nothing was certain, and to some others.
    let strangers = ledger.all(Standing::Stranger);
    for client in uncertain.iter().chain(known.iter().take(2)).chain(strangers.iter().take(2)) {
        let mut peer = Peer::connect(place, Some(client)).await.expect("a daemon");
        let expected = if trusted.contains(&client.fingerprint) { Code::Ok } else { Code::Unauthenticated };
        assert_eq!(peer.ping().await.map_or_else(|status| status.code(), |()| Code::Ok), expected);
    }
    let Some(client) = known.first() else { return };
    // Nobody is the first any more.
    let mut newcomer = Peer::connect(place, Some(&ledger.newcomer())).await.expect("a daemon");
    assert_eq!(newcomer.list().await.expect_err("a refusal").code(), Code::Unauthenticated);
    let mut peer = Peer::connect(place, Some(client)).await.expect("a daemon");
    let mut found = Vec::new();
    let candidates = ledger.passphrases();
    for candidate in &candidates {
        let answer = peer.authenticate(candidate.as_deref().unwrap_or("any")).await;
        let is_it = match (candidate, answer.map_err(|status| status.code())) {
            (Some(_), Ok(())) | (None, Err(Code::FailedPrecondition)) => true,
            (_, Ok(()) | Err(Code::InvalidArgument | Code::FailedPrecondition)) => false,
            (_, Err(code)) => panic!("{code:?}"),
        };
        if is_it {
            found.push(candidate.clone());
        }
    }
    let [passphrase] = &found[..] else { panic!("the passphrase is {found:?} of {candidates:?}") };
    ledger.settle_passphrase(passphrase.clone());
}

/// SplitMix64: numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn index(&mut self, length: usize) -> usize {
        (self.next() % length as u64) as usize
    }

    fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
