//! Strangers and the daemon's records: however much they call, what is written of it is little and complete.

use std::fs;

use e2e::DaemonOptions;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use transport::tls::{ClientTls, Dates, RootCertificate};
use transport::{Connection, Endpoint, Stream, Transport};
use transport_unix::UnixTransport;

use crate::support::{Service, mode};

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
        let tls = ClientTls::new(RootCertificate::from_pem(&root).expect("PEM"), Dates::Count, None);
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
