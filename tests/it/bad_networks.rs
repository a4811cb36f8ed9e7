//! Networks that lose and delay what is sent, that forget where a client was, or that carry nothing at all.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Client, DaemonOptions, Via};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tonic::Code;
use transport::testkit::relay::{Conditions, Relay};
use transport::{Endpoint, HostPort};

use crate::peer::{Identity, Peer, Place};
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, run};

/// What a mobile connection may be like, in each direction.
const BAD: Conditions =
    Conditions { loss_percent: 5, delay: Duration::from_millis(50), jitter: Duration::from_millis(10) };
const SEED: u64 = 7;
/// How long a client may take to find out that nobody answers, and to say so.
const FOUND_OUT: Duration = Duration::from_secs(10);
/// The same where the client's own time limit is what ends it: a machine may have much to do.
const GIVEN_UP: Duration = Duration::from_secs(15);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A daemon with a passphrase and a first client, and a bad network before its QUIC.
fn behind_a_relay() -> (Service, Relay) {
    let service = Service::start_with(DaemonOptions { also: vec![Via::Quic], ..DaemonOptions::default() });
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    let address = service.daemon.address_over(Via::Quic).expect("an address");
    let Ok(Endpoint::Quic(HostPort { port, .. })) = address.parse() else { panic!("{address}") };
    let relay = Relay::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), BAD, SEED);
    (service, relay)
}

#[test]
fn one_quic_connection_survives_loss_delay_and_moves() {
    let (service, relay) = behind_a_relay();
    let place = Place::at(&service.daemon, &format!("quic:{}", relay.address()));
    runtime().block_on(async {
        let identity = Identity::new();
        let mut peer = Peer::connect(&place, Some(&identity)).await.expect("a connection");
        assert_eq!(peer.list().await.expect_err("a stranger").code(), Code::Unauthenticated);
        peer.authenticate("open sesame").await.expect("the right passphrase");
        // Four moves, among a hundred calls over the one connection.
        for _ in 0..5 {
            let before = relay.outside();
            for _ in 0..4 {
                let mut calls = [(); 5].map(|()| {
                    let mut peer = peer.clone();
                    tokio::spawn(async move { peer.list().await })
                });
                for call in &mut calls {
                    call.await.expect("no panic").expect("a trusted client's list");
                }
            }
            relay.move_clients();
            peer.ping().await.expect("trusted where it is now");
            assert!(!relay.outside().iter().any(|address| before.contains(address)), "it should have moved");
        }
    });
    assert!(relay.lost() > 0, "otherwise this tests nothing");
    assert_eq!(service.trusted(), 2);
}

#[test]
fn the_client_copes_with_a_bad_network() {
    let (service, relay) = behind_a_relay();
    let user = service.user("user").at(&format!("quic:{}", relay.address()));
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    run(&user, &["authenticate", "open sesame"]).prints("");
    run(&user, &["list"]).prints(NO_INSTANCES);
    assert!(service.trusts(&user));
}

/// Nothing comes back from either of these, not even a refusal.
#[test]
fn where_nothing_answers_a_client_says_what_to_try() {
    let service = Service::start();
    let black_hole = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (udp, runtime) = (black_hole.local_addr().expect("its address"), runtime());
    let silent = runtime.block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        // Who comes when its queue is full gets no answer, as from behind a firewall that drops.
        socket.listen(0).expect("a listener")
    });
    let tcp = silent.local_addr().expect("its address");
    let _queue = TcpStream::connect(tcp).expect("a place in the queue");

    thread::scope(|scope| {
        for (name, address, limit, parts) in [
            ("quic", format!("quic:{udp}"), FOUND_OUT, &["nothing answered over UDP", "firewall", "TCP"][..]),
            ("tcp", tcp.to_string(), GIVEN_UP, &["within 10 seconds", "firewall", "Try again"]),
        ] {
            let user: Client = service.user(name).at(&address);
            scope.spawn(move || {
                let began = Instant::now();
                run(&user, &["list"]).fails(2, "list failed: ", &[parts, &[address.as_str()]].concat());
                assert!(began.elapsed() < limit, "{name}: after {:?}", began.elapsed());
            });
        }
    });
}
