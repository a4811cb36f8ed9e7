//! The audit log's refusals: however many, they are few lines, none is lost from the count, and nobody waits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use auth_core::{Caller, Channel, ClientCertificate, Denied};
use daemon::audit::{self, Refusals};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::lines;

const SECOND: Duration = Duration::from_secs(1);
/// The documented most of a file, and how many older ones there may be.
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_OLDER: u64 = 3;
/// The documented number of kinds that are told apart.
const MAX_KINDS: usize = 256;

/// Refusals that are being written.
struct WrittenRefusals {
    data: TempDir,
    refusals: Refusals,
    stop: CancellationToken,
    writing: JoinHandle<()>,
}

impl WrittenRefusals {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (refusals, writer) = audit::refusals(&audit::directory(data.path()).unwrap());
        let stop = CancellationToken::new();
        let writing = tokio::spawn(writer.run(stop.clone()));
        Self { data, refusals, stop, writing }
    }

    fn record(&self, caller: &Caller) {
        self.refusals.record("list", caller, &Denied::NotTrusted);
    }

    fn file(&self) -> PathBuf {
        self.data.path().join("audit/refusals.jsonl")
    }

    fn lines(&self) -> Vec<Value> {
        lines(&self.file())
    }

    /// All lines, once the daemon has stopped.
    async fn finish(self) -> Vec<Value> {
        self.stop.cancel();
        self.writing.await.unwrap();
        lines(&self.data.path().join("audit/refusals.jsonl"))
    }
}

fn user(uid: u32) -> Caller {
    Caller { channel: Channel::Local { uid, gid: uid, groups: [].into() }, certificate: None }
}

fn at(address: &str) -> Caller {
    Caller { channel: Channel::Remote(address.parse().unwrap()), certificate: None }
}

fn counts(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["count"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_of_a_kind_are_two_lines() {
    let written = WrittenRefusals::start();
    written.record(&user(1000));
    sleep(SECOND).await;
    assert_eq!(counts(&written.lines()), [1]);
    for _ in 0..9999 {
        written.record(&user(1000));
    }
    sleep(58 * SECOND).await;
    assert_eq!(counts(&written.lines()), [1]);
    sleep(2 * SECOND).await;
    assert_eq!(counts(&written.lines()), [1, 9999]);
    // While it goes on, one line a minute.
    for _ in 0..600 {
        written.record(&user(1000));
        sleep(SECOND).await;
    }
    assert_eq!(written.lines().len(), 12);
    // After a quiet minute it is news again, and is written at once.
    sleep(120 * SECOND).await;
    written.record(&user(1000));
    sleep(SECOND).await;
    let all = written.finish().await;
    assert_eq!(counts(&all).iter().sum::<u64>(), 10_601);
    assert_eq!(all.last().unwrap()["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_kinds_there_are_the_lines_are_bounded_and_the_counts_complete() {
    let written = WrittenRefusals::start();
    for _ in 0..3 {
        for uid in 0..5000 {
            written.record(&user(uid));
        }
        sleep(SECOND).await;
    }
    let all = written.finish().await;
    assert_eq!(counts(&all).iter().sum::<u64>(), 15_000);
    // Each of them at once, and then their number.
    assert_eq!(all.len(), 2 * (MAX_KINDS + 1));
    let others: Vec<&Value> = all.iter().filter(|line| line["from"] == "others").collect();
    assert_eq!(others.len(), 2);
    for line in others {
        assert_eq!((&line["method"], &line["reason"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn nobody_waits_for_a_file_and_nothing_is_lost_meanwhile() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let all = runtime.block_on(async {
        let written = WrittenRefusals::start();
        // The one thread that writes files is busy.
        let (go_on, busy) = mpsc::channel::<()>();
        let stuck = tokio::task::spawn_blocking(move || busy.recv());
        let began = Instant::now();
        for _ in 0..10 {
            for uid in 0..2000 {
                written.record(&user(uid));
                written.refusals.record("authenticate", &user(uid), &Denied::WrongPassphrase);
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(!written.file().exists());
        go_on.send(()).unwrap();
        stuck.await.unwrap().unwrap();
        written.finish().await
    });
    assert_eq!(counts(&all).iter().sum::<u64>(), 40_000);
    // What was written singly had its bound, too: at first, and while the first lines were written.
    assert!(all.len() <= 2 * 512 + MAX_KINDS + 1, "{} lines", all.len());
}

#[tokio::test(start_paused = true)]
async fn wrong_passphrases_are_reported_one_by_one_up_to_a_bound() {
    let written = WrittenRefusals::start();
    for _ in 0..100 {
        written.refusals.record("authenticate", &user(1000), &Denied::WrongPassphrase);
    }
    let all = written.finish().await;
    assert_eq!(counts(&all), [vec![1; 60], vec![40]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_line_has_the_documented_schema() {
    let written = WrittenRefusals::start();
    let client = certificate();
    written.refusals.record(
        "authenticate",
        &Caller { certificate: Some(client.clone()), ..at("2001:db8:1:2:3::4") },
        &Denied::TooManyGuesses { seconds: 7 },
    );
    for certificate in [client.clone(), client.clone()] {
        written.refusals.record(
            "authenticate",
            &Caller { certificate: Some(certificate), ..at("2001:db8:1:2:ffff::") },
            &Denied::TooManyGuesses { seconds: 6 },
        );
    }
    // The same kind with different clients.
    for certificate in [None, Some(certificate()), Some(client.clone())] {
        written.refusals.record("info", &Caller { certificate, ..user(7) }, &Denied::NotFirst);
    }
    let mut all = written.finish().await;
    for line in &mut all {
        for time in ["time", "since"] {
            let time = line[time].take();
            humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
        }
    }
    let client = client.fingerprint();
    let line = |method: &str, from: &str, client: &str, reason: &str, count: u64| {
        format!(
            "{{\"v\":1,\"time\":null,\"event\":\"refused\",\"method\":\"{method}\",\"from\":\"{from}\",\
             \"client\":{client},\"reason\":\"{reason}\",\"count\":{count},\"since\":null}}"
        )
    };
    let guesser = format!("\"{client}\"");
    let written: BTreeSet<String> = all.iter().map(Value::to_string).collect();
    let expected = [
        line("authenticate", "address:2001:db8:1:2:3::4", &guesser, "too_many_guesses", 1),
        line("authenticate", "address:2001:db8:1:2::/64", &guesser, "too_many_guesses", 2),
        line("info", "uid:7", "null", "not_first", 1),
        line("info", "uid:7", "null", "not_first", 2),
    ];
    assert_eq!(written, BTreeSet::from(expected));
}

fn certificate() -> ClientCertificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    ClientCertificate::from_der(certificate.der().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_stops_nothing() {
    let written = WrittenRefusals::start();
    fs::create_dir(written.file()).unwrap();
    written.record(&user(1));
    sleep(SECOND).await;
    fs::remove_dir(written.file()).unwrap();
    written.record(&user(2));
    sleep(SECOND).await;
    let all = written.finish().await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["from"], "uid:2");
}

#[tokio::test(start_paused = true)]
async fn they_have_room_of_their_own() {
    let written = WrittenRefusals::start();
    let grants = written.data.path().join("audit/grants.jsonl");
    fs::write(&grants, "as it was\n").unwrap();
    for uid in 0..10 {
        fs::write(written.file(), vec![b'\n'; MAX_BYTES as usize]).unwrap();
        written.record(&user(uid));
        sleep(SECOND).await;
        assert_eq!(written.lines().len(), 1);
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let audit = fs::read_dir(written.data.path().join("audit")).unwrap();
    let total: u64 = audit.map(|file| size(&file.unwrap().path())).sum();
    assert!(total <= MAX_BYTES * (MAX_OLDER + 1), "{total} bytes");
    assert_eq!(fs::read_to_string(grants).unwrap(), "as it was\n");
}
