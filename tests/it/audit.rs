//! Strangers and the daemon's records: however much they call, what is written of it is little and complete.

use std::fs;

use e2e::{Client, DaemonOptions, Outcome};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use transport::tls::{CertificateDates, ClientTls, RootCertificate};
use transport::{Connection, Endpoint, Stream, Transport};
use transport_unix::UnixTransport;

use crate::support::{Expected, NOT_AUTHENTICATED, Service, mode, run};

const CALLS: u32 = 2000;
/// As many as the daemon answers at once, or fewer.
const AT_ONCE: u32 = 100;

#[test]
fn a_stranger_who_calls_all_the_time_leaves_a_few_lines() {
    let service = Service::start();
    service.first_client();
    let mut stranger = Stranger::connect(&service);
    for _ in 0..CALLS / AT_ONCE {
        stranger.call("list", AT_ONCE);
    }
    drop(stranger);
    let directory = service.daemon.data.join("audit");
    let refusals = directory.join("refusals.jsonl");
    // What is only counted is told when the daemon stops.
    let service = service.restart(Signal::SIGTERM);
    assert_eq!((mode(&directory), mode(&refusals)), (0o700, 0o600));
    let records: Vec<Value> = fs::read_to_string(&refusals)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let count: u64 = records.iter().map(|record| record["count"].as_u64().expect("a number")).sum();
    assert_eq!(count, u64::from(CALLS), "{records:?}");
    // Two; on a slow machine, one more for each minute.
    assert!(records.len() <= 4, "{records:?}");
    for record in &records {
        let told = ["event", "method", "reason"].map(|field| record[field].as_str().expect("text"));
        assert_eq!(told, ["refused", "list", "no_certificate"]);
        assert_eq!(record["from"], format!("uid:{}", nix::unistd::geteuid()));
    }
    let log = service.daemon.logged();
    assert_eq!(log.matches("refused list").count(), records.len(), "{log}");
    assert!(log.contains("more times in the last"), "{log}");
}

/// Each grant and change, made by the programs and written by them: in the order and with the fields of
/// `docs/audit.md`, and nothing else.
#[test]
fn each_grant_is_the_documented_line() {
    let service = Service::start();
    let (first, other) = (service.first_client(), service.user("other"));
    let third = service.user("third");
    run(&third, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    let done = |client: &Client, arguments: &[&str]| {
        let outcome = run(client, arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
    };
    let fingerprints = || -> Vec<String> {
        let listed = run(&first, &["clients", "--format", "csv"]).stdout;
        listed.lines().skip(1).filter_map(|line| line.split(',').next().map(str::to_owned)).collect()
    };
    let new =
        |before: &[String]| fingerprints().into_iter().find(|one| !before.contains(one)).expect("a new one");

    let f = new(&[]);
    done(&first, &["set", "local.passphrase=open sesame"]);
    done(&other, &["authenticate", "open sesame"]);
    let o = new(std::slice::from_ref(&f));
    done(
        &first,
        &["clients", "add", "--cert", &third.certificate().display().to_string(), "--name", "third"],
    );
    let t = new(&[f.clone(), o.clone()]);
    done(&first, &["clients", "rename", "third", "monitor"]);
    done(&first, &["clients", "set-level", "monitor", "read-only"]);
    done(&first, &["clients", "set-level", "monitor", "full"]);
    done(&other, &["clients", "revoke", "monitor"]);
    let cert = third.certificate().display().to_string();
    done(&first, &["clients", "add", "--cert", &cert, "--read-only"]);
    done(&third, &["deauthenticate", "--yes"]);
    done(&other, &["set", "local.passphrase="]);
    done(&first, &["clients", "revoke", &o]);
    done(&first, &["clients", "revoke", "--yes", &f]);
    let mut recover = std::process::Command::new(service.sandbox.path("multipassd"));
    let storage = service.daemon.data.parent().expect("a directory");
    recover.args(["recover", "--first-client"]).env("MULTIPASS_STORAGE", storage);
    assert_eq!(Outcome::of(&mut recover, "").expect("the daemon's program runs").code, 0);

    let text = fs::read_to_string(service.daemon.data.join("audit/grants.jsonl")).expect("the log");
    let mut before = String::new();
    let caller = format!("\"uid:{}\"", nix::unistd::geteuid());
    let client = |fingerprint: &str| format!("\"{fingerprint}\"");
    let (none, root) = ("null".to_owned(), "administrator");
    let expected = [
        ("first_client_enrolled", f.as_str(), &caller, client(&f)),
        ("passphrase_set", &f, &caller, none.clone()),
        ("passphrase_accepted", &o, &caller, client(&o)),
        ("client_added", &f, &caller, client(&t)),
        ("client_renamed", &f, &caller, client(&t)),
        ("client_made_read_only", &f, &caller, client(&t)),
        ("client_made_full", &f, &caller, client(&t)),
        ("client_revoked", &o, &caller, client(&t)),
        ("read_only_client_added", &f, &caller, client(&t)),
        ("client_revoked", &t, &caller, client(&t)),
        ("passphrase_removed", &o, &caller, none.clone()),
        ("client_revoked", &f, &caller, client(&o)),
        ("client_revoked", &f, &caller, client(&f)),
        ("first_client_awaited", root, &none, none.clone()),
    ];
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    for (line, (event, by, from, client)) in text.lines().zip(expected) {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let time = record["time"].as_str().expect("text");
        assert_eq!(
            line,
            format!(
                r#"{{"v":1,"time":"{time}","event":"{event}","by":"{by}","from":{from},"client":{client}}}"#
            )
        );
        // RFC 3339 in UTC with microseconds: of one length, so that their order is that of time.
        let shape: String = time.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
        assert!(*time >= *before, "{before} before {time}");
        before = time.to_owned();
    }
}

#[test]
fn what_a_peer_does_in_http_fills_no_log() {
    let service = Service::start_with(DaemonOptions { verbosity: Some("debug"), ..DaemonOptions::default() });
    let mut stranger = Stranger::connect(&service);
    let before = service.daemon.logged().lines().count();
    stranger.send(&ANSWER_TO_NO_PING.repeat(10_000));
    // They are read before this call is.
    stranger.call("list", 1);
    let log = service.daemon.logged();
    assert!(log.lines().count() < before + 10, "{} lines", log.lines().count());
}

/// The client's preface and its settings, of which there are none (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const ANSWER_TO_NO_PING: [u8; 17] = *b"\0\0\x08\x06\x01\0\0\0\0nothing.";
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A peer without a certificate, who speaks HTTP/2 frame by frame.
struct Stranger {
    runtime: Runtime,
    stream: Stream,
    next: u32,
    _connection: Box<dyn Connection>,
}

impl Stranger {
    fn connect(service: &Service) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let root = fs::read(&service.daemon.root_certificate).expect("a root certificate");
        let tls =
            ClientTls::new(RootCertificate::from_pem(&root).expect("PEM"), CertificateDates::Enforced, None);
        let endpoint = Endpoint::Unix(service.daemon.socket.clone());
        let (stream, connection) = runtime.block_on(async {
            let mut connection =
                UnixTransport::default().dial(&endpoint, tls.expect("TLS")).await.expect("a connection");
            (connection.open_stream().await.expect("a stream"), connection)
        });
        let mut stranger = Self { runtime, stream, next: 1, _connection: connection };
        stranger.send(PREFACE);
        stranger
    }

    fn send(&mut self, bytes: &[u8]) {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        self.runtime.block_on(sent).expect("a daemon that reads");
    }

    /// Calls a method so many times at once, without a request, and waits for the answers.
    fn call(&mut self, method: &str, times: u32) {
        // POST, https, and then names of the static table (RFC 7541, appendix A) with plain values.
        let path = format!("/multipass.Rpc/{method}");
        let mut headers = vec![0x83, 0x87, 0x04, u8::try_from(path.len()).expect("short")];
        headers.extend(path.bytes());
        headers.extend(b"\x01\x09localhost\x0f\x10\x10application/grpc\0\x02te\x08trailers");
        let length = u8::try_from(headers.len()).expect("short");
        for _ in 0..times {
            let mut frame = vec![0, 0, length, HEADERS, END_STREAM | END_HEADERS];
            frame.extend(self.next.to_be_bytes());
            frame.extend(&headers);
            self.next += 2;
            self.send(&frame);
        }
        let answers = async {
            let mut ended = 0;
            while ended < times {
                let mut head = [0; 9];
                self.stream.read_exact(&mut head).await.expect("a frame");
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut body = vec![0; length as usize];
                self.stream.read_exact(&mut body).await.expect("its body");
                ended += u32::from(head[3] == HEADERS && head[4] & END_STREAM != 0);
            }
        };
        self.runtime.block_on(answers);
    }
}
