//! The same over QUIC, whose strangers take no descriptors: datagrams that nothing follows, connections on which
//! nothing is said, and streams on which nothing is said.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{DaemonOptions, Via, is_root, skip, wait_until};
use quinn::{Connection, RecvStream, SendStream};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use transport::tls::ClientTls;

use super::{GROWTH, SOON, tell};
use crate::dialling::{quic_from, reached_from};
use crate::peer::Place;
use crate::support::{Expected, NO_INSTANCES, Service, run};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Streams that one peer may have open.
const STREAMS: usize = 8;
/// As many strangers as one source may have.
const MOST: usize = 64;
/// Connections that are begun again and again, and never gone on with.
const BEGINNINGS: usize = 100;
/// How long a client tries to connect.
const SERVED: Duration = Duration::from_secs(10);

#[test]
fn strangers_over_quic_keep_no_trusted_client_from_its_work() {
    flood(&[Kind::Silent, Kind::Streams, Kind::Resetting], 100);
}

/// Each may be kept in memory until it is finished.
#[test]
fn calls_that_strangers_never_finish_take_little_over_quic() {
    flood(&[Kind::Pending], 100);
}

mod long {
    #[test]
    #[ignore = "takes a minute"]
    fn a_thousand_strangers_over_quic_keep_no_trusted_client_from_its_work() {
        super::flood(&[super::Kind::Silent, super::Kind::Streams, super::Kind::Resetting], 300);
    }
}

/// What the strangers have in common.
#[derive(Clone)]
struct Strangers {
    at: SocketAddr,
    tls: ClientTls,
    here: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Silent,
    /// Has all the streams that it may have, with the beginning of HTTP/2's first words on each.
    Streams,
    /// Opens streams and resets each at once.
    Resetting,
    /// Begins calls that anyone may make on all streams, and never finishes one.
    Pending,
}

impl Strangers {
    /// Comes, does as its kind does, and stays until it is sent away or all is over.
    async fn come(self, kind: Kind) {
        let connected = quic_from(HERE, self.at, &self.tls).await;
        self.here.fetch_add(1, Ordering::Relaxed);
        // It may have been sent away before it was let in.
        let Ok((_endpoint, connection)) = connected else { return };
        let (mut held, mut calling) = (Vec::new(), Vec::new());
        match kind {
            Kind::Silent => {}
            Kind::Streams => {
                while held.len() < STREAMS {
                    let Ok(stream) = begin_to_speak(&connection).await else { return };
                    held.push(stream);
                }
            }
            Kind::Resetting => {
                // The service tells of room for further streams as it comes to it.
                for _ in 0..100 {
                    let speaking = timeout(Duration::from_secs(1), begin_to_speak(&connection)).await;
                    let Ok(Ok(mut stream)) = speaking else { break };
                    let _ = stream.reset(0_u8.into());
                }
            }
            Kind::Pending => {
                while calling.len() < STREAMS {
                    let Ok(stream) = begin_calls(&connection).await else { return };
                    calling.push(stream);
                }
            }
        }
        let _until_then = connection.closed().await;
    }

    /// Sends the first datagrams of so many connections again and again.
    async fn begin_and_never_go_on(self, number: usize) {
        let mut flights = Vec::new();
        for _ in 0..number {
            flights.push(first_flight(&self.tls).await);
        }
        let socket = UdpSocket::bind((HERE, 0)).await.expect("a port");
        while !self.over.load(Ordering::Relaxed) {
            for datagram in flights.iter().flatten() {
                let _ = socket.send_to(datagram, self.at).await;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn begin_to_speak(connection: &Connection) -> Result<SendStream, quinn::ConnectionError> {
    let (mut send, _receive) = connection.open_bi().await?;
    // A stream is there once something was sent on it. What becomes of that is not this one's concern.
    let _ = send.write_all(b"PRI * HTTP").await;
    Ok(send)
}

/// As many calls as a client may have in progress, of none of which the end is sent.
async fn begin_calls(connection: &Connection) -> Result<(SendStream, RecvStream), quinn::ConnectionError> {
    const PATH: &[u8] = b"/multipass.Rpc/authenticate";
    const NAMES: &[u8] = b"\x01\x09localhost\x0f\x10\x10application/grpc\0\x02te\x08trailers";
    // HTTP/2's first words, settings that say nothing, and frames of headers (RFC 9113; RFC 7541, appendix A).
    let mut words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let headers = [b"\x83\x87\x04\x1b", PATH, NAMES].concat();
    let length = u8::try_from(headers.len()).expect("short headers");
    for stream in (1..=255).step_by(2) {
        words.extend([0, 0, length, 1, 4, 0, 0, 0, stream]);
        words.extend(&headers);
    }
    let (mut send, receive) = connection.open_bi().await?;
    let _ = send.write_all(&words).await;
    Ok((send, receive))
}

/// The two datagrams that a client's first words take, sent to nobody.
async fn first_flight(tls: &ClientTls) -> [Vec<u8>; 2] {
    let nobody = UdpSocket::bind((HERE, 0)).await.expect("a port");
    let (at, tls) = (nobody.local_addr().expect("its address"), tls.clone());
    let dialling = tokio::spawn(async move { quic_from(HERE, at, &tls).await.map(drop) });
    let mut flight = [const { Vec::new() }; 2];
    for datagram in &mut flight {
        let mut buffer = [0; 2048];
        let length = nobody.recv(&mut buffer).await.expect("a datagram");
        *datagram = buffer[..length].to_vec();
    }
    dialling.abort();
    flight
}

/// So many strangers of each kind.
fn flood(kinds: &[Kind], of_each: usize) {
    if !is_root() {
        return skip("needs root, to count the descriptors of a process that lets nobody look at it");
    }
    let service = Service::start_with(DaemonOptions { via: Via::Quic, ..DaemonOptions::default() });
    let trusted = service.first_client();
    let (descriptors, memory) = (service.descriptors(), service.resident_kib());
    let place = Place::of(&service.daemon);
    let strangers = Strangers {
        at: reached_from(HERE, place.endpoint()),
        tls: place.tls(None).expect("a root certificate"),
        here: Arc::default(),
        over: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut crowd = JoinSet::new();
    {
        let _in_runtime = runtime.enter();
        crowd.spawn(strangers.clone().begin_and_never_go_on(BEGINNINGS));
        for _ in 0..of_each {
            for kind in kinds.iter().copied() {
                crowd.spawn(strangers.clone().come(kind));
            }
        }
    }
    let (mut most, mut rounds, mut slowest) = (0, 0, Duration::ZERO);
    let began = Instant::now();
    while rounds < 5 || strangers.here.load(Ordering::Relaxed) < kinds.len() * of_each {
        assert!(began.elapsed() < 6 * SOON, "they have not come");
        let called = Instant::now();
        // All datagrams come by one socket: on a machine that has much else to do a handshake may take longer than it
        // is sure of its place, and who is cut then tries again.
        wait_until("it is served", SERVED, || run(&trusted, &["list"]).code == 0).unwrap();
        slowest = slowest.max(called.elapsed());
        most = most.max(service.resident_kib());
        rounds += 1;
    }
    // Those who are left are as many as are borne: without them all of this would say nothing.
    let mut staying = || {
        while crowd.try_join_next().is_some() {}
        crowd.len()
    };
    wait_until("one source has one source's room", SOON, || staying() <= MOST + 1).unwrap();
    let here = staying();
    assert!(here > MOST / 4, "{here} stay");
    most = most.max(service.resident_kib());

    strangers.over.store(true, Ordering::Relaxed);
    runtime.block_on(crowd.shutdown());
    run(&trusted, &["list"]).prints(NO_INSTANCES);
    wait_until("their room is given back", SOON, || service.descriptors() <= descriptors).unwrap();
    let (grown, kept) = (most.saturating_sub(memory), service.resident_kib().saturating_sub(memory));
    tell(&format!("{memory} KiB before, at most {grown} more, {kept} more after; served in {slowest:?}"));
    assert!(grown < GROWTH, "the daemon grew by {grown} KiB");
    assert!(slowest < SERVED, "a trusted client was served after {slowest:?}");
    assert!(!service.daemon.logged().contains("panicked"), "{}", service.daemon.logged());
}
