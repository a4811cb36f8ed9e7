//! The same over QUIC, whose strangers take no descriptors: datagrams that nothing follows, connections on which
//! nothing is said, and streams on which nothing is said.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{DaemonOptions, Via, is_root, skip, wait_until};
use quinn::{Connection, SendStream};
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
    flood(100);
}

mod long {
    #[test]
    #[ignore = "takes a minute"]
    fn a_thousand_strangers_over_quic_keep_no_trusted_client_from_its_work() {
        super::flood(300);
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
}

impl Strangers {
    /// Comes, does as its kind does, and stays until it is sent away or all is over.
    async fn come(self, kind: Kind) {
        let connected = quic_from(HERE, self.at, &self.tls).await;
        self.here.fetch_add(1, Ordering::Relaxed);
        // It may have been sent away before it was let in.
        let Ok((_endpoint, connection)) = connected else { return };
        let mut held = Vec::new();
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
fn flood(of_each: usize) {
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
            for kind in [Kind::Silent, Kind::Streams, Kind::Resetting] {
                crowd.spawn(strangers.clone().come(kind));
            }
        }
    }
    let (mut most, mut rounds, mut slowest) = (0, 0, Duration::ZERO);
    let began = Instant::now();
    while rounds < 5 || strangers.here.load(Ordering::Relaxed) < 3 * of_each {
        assert!(began.elapsed() < 6 * SOON, "they have not come");
        let called = Instant::now();
        run(&trusted, &["list"]).prints(NO_INSTANCES);
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
