//! Networks as they are: they lose, delay and reorder, they forget where a client was, and some carry no UDP.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use transport::testkit::certificates::{TestIdentity, TestServer};
use transport::testkit::relay::{Conditions, Relay};
use transport::testkit::run;
use transport::{ConnectError, Origin, Transport};
use transport_quic::QuicTransport;

use crate::support::{Service, address, endpoint, open, round_trip};

#[test]
fn a_lossy_network_is_only_slow() {
    run(async {
        let mut service = Service::start().await;
        let conditions = Conditions {
            loss_percent: 5,
            delay: Duration::from_millis(25),
            jitter: Duration::from_millis(5),
        };
        let relay = Relay::start(address(&service.at), conditions, 1);
        let identity = TestIdentity::client();
        let (mut client, mut served) = service.connect_by(&endpoint(relay.address()), Some(&identity)).await;
        assert!(served.peer().certificate.as_ref().unwrap().der() == identity.certificate());

        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        for _ in 0..100 {
            round_trip(&mut here, &mut there).await;
        }
        // More than one window, in one direction.
        let sent = vec![7; 300_000];
        let sending = async {
            tokio::io::AsyncWriteExt::write_all(&mut here, &sent).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut here).await.unwrap();
        };
        let mut received = Vec::new();
        let ((), received_all) = tokio::join!(sending, there.read_to_end(&mut received));
        received_all.unwrap();
        assert!(received == sent, "{} bytes, not those sent", received.len());
        assert!(relay.lost() > 0, "otherwise this tests nothing");
    });
}

#[test]
fn a_client_that_moves_stays_who_it_was() {
    run(async {
        let mut service = Service::start().await;
        let relay = Relay::start(address(&service.at), Conditions::default(), 1);
        let identity = TestIdentity::client();
        let (mut client, mut served) = service.connect_by(&endpoint(relay.address()), Some(&identity)).await;
        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        // quinn's own socket, and the one that asks whether anybody is there.
        let first = relay.outside();
        let Origin::Remote(origin) = served.peer().origin else { panic!("no address") };
        assert!(first.contains(&origin));

        for _ in 0..3 {
            relay.move_clients();
            for _ in 0..3 {
                round_trip(&mut here, &mut there).await;
            }
            let now = relay.outside();
            assert!(now.len() == 1 && !first.contains(&now[0]), "{now:?}: it should have moved");
            let peer = served.peer();
            assert_eq!(peer.origin, Origin::Remote(origin));
            assert!(peer.certificate.as_ref().unwrap().der() == identity.certificate());
            // A new stream is the same peer's.
            let (mut here, mut there) = open(&mut client, &mut served, 1).await;
            round_trip(&mut here, &mut there).await;
        }
    });
}

/// The clock goes on only while nothing else can.
#[test]
fn a_network_without_udp_is_found_out_within_ten_seconds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let black_hole = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = endpoint(black_hole.local_addr().unwrap());
        let start = Instant::now();
        let dialled = QuicTransport::default().dial(&at, TestServer::generate().client(None)).await;
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let error = dialled.err().expect("nobody is there");
        assert!(matches!(&error, ConnectError::NoAnswer { endpoint, .. } if *endpoint == at), "{error:?}");
        let said = error.to_string();
        for part in [at.to_string().as_str(), "nothing answered over UDP", "firewall", "TCP"] {
            assert!(said.contains(part), "{said}");
        }
        // It was asked more than once: a lost datagram is not yet a network without UDP.
        black_hole.readable().await.unwrap();
        let mut asked = 0;
        while let Ok(length) = black_hole.try_recv(&mut [0; 2048]) {
            // An empty one asks whether the port is reachable.
            asked += usize::from(length > 0);
        }
        assert!(asked > 4, "{asked} datagrams");
    });
}
