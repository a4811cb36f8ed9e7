//! Many handshakes at once, from addresses that may be forged.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};
use transport::testkit::contract::QUIET;
use transport::testkit::run;

use crate::support::{Service, address, first_flight, open, round_trip};

/// As many handshakes as may be under way with peers whose addresses may be forged.
const MAX_UNPROVEN: usize = 32;
/// How long a peer that acknowledges nothing is watched.
const SENT_AGAIN: Duration = Duration::from_millis(1500);

/// Sends a client's first datagrams and returns the first byte of what the service answers, from the same address.
async fn answer(service: &mut Service) -> Option<u8> {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.connect(address(&service.at)).await.unwrap();
    for datagram in first_flight().await {
        peer.send(&datagram).await.unwrap();
    }
    let mut buffer = [0; 2048];
    tokio::select! {
        received = peer.recv(&mut buffer) => {
            received.unwrap();
            Some(buffer[0])
        }
        incoming = service.listener.accept() => {
            // It is taken, without a proof.
            drop(incoming.unwrap());
            None
        }
    }
}

/// A long header of type Retry (RFC 9000, 17.2.5).
fn is_retry(first_byte: u8) -> bool {
    first_byte & 0xf0 == 0xf0
}

#[test]
fn under_load_addresses_are_to_be_proven_and_otherwise_not() {
    run(async {
        let mut service = Service::start().await;
        assert_eq!(answer(&mut service).await, None, "nothing else goes on");

        // Peers that send their first datagrams and no more, each from an address of its own, or from none.
        let mut taken = Vec::new();
        for _ in 0..MAX_UNPROVEN {
            let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for datagram in first_flight().await {
                peer.send_to(&datagram, address(&service.at)).await.unwrap();
            }
            taken.push(service.accept().await);
        }
        // Whether they wait for their handshake or are in the middle of it.
        let handshakes: Vec<_> = taken
            .drain(..MAX_UNPROVEN / 2)
            .map(|incoming| tokio::spawn(async move { incoming.handshake().await.map(drop) }))
            .collect();
        for _ in 0..3 {
            let first_byte = answer(&mut service).await.expect("an answer, and nobody to accept");
            assert!(is_retry(first_byte), "{first_byte:#x}");
        }

        // Whoever can prove its address gets in, a round trip later.
        let (mut client, mut served) = service.connect().await;
        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        round_trip(&mut here, &mut there).await;

        // It is over as soon as one of them is gone.
        handshakes[0].abort();
        let _ = timeout(QUIET, async {
            while !handshakes[0].is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await;
        assert_eq!(answer(&mut service).await, None);
        drop(taken.pop());
        assert_eq!(answer(&mut service).await, None);
    });
}

/// Nobody makes the service send much to an address by writing that address on a few datagrams (RFC 9000, 8.1).
#[test]
fn an_address_without_a_proof_is_sent_little() {
    run(async {
        let [first, second] = first_flight().await;
        let long = |length: usize, version: u8| [&[0xc0, 0, 0, 0, version, 8][..], &vec![7; length]].concat();
        let cases: [(&str, Vec<Vec<u8>>, usize); 6] = [
            ("a connection that is not there", vec![vec![0x40; 1200]], 1),
            ("the same, small", vec![vec![0x40; 60]], 1),
            ("a version that nobody speaks, small", vec![long(60, 99)], 0),
            ("a version that nobody speaks", vec![long(1200, 99)], 1),
            ("half of the first words", vec![first.clone()], 3),
            ("all of the first words, and nothing after", vec![first, second], 3),
        ];
        for (what, datagrams, times) in cases {
            let mut service = Service::start().await;
            let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            peer.connect(address(&service.at)).await.unwrap();
            let mut sent = 0;
            for datagram in &datagrams {
                sent += peer.send(datagram).await.unwrap();
            }
            let mut received = 0;
            let counting = async {
                loop {
                    received += peer.recv(&mut [0; 2048]).await.unwrap();
                }
            };
            let serving = async {
                let incoming = service.listener.accept().await.unwrap();
                incoming.handshake().await.map(drop)
            };
            // Long enough for what the service sends again, as nobody acknowledges it.
            let _ = timeout(SENT_AGAIN, async { tokio::join!(counting, serving) }).await;
            assert!(received <= times * sent, "{what}: {received} bytes for {sent}");
            assert!(datagrams.len() < 2 || received > sent / 2, "{what}: it was answered {received} bytes");
        }
    });
}

/// And not for as long as the peer would have it, by what it says of itself: up to 49 s.
#[test]
fn nothing_is_left_of_a_handshake_that_was_cut_a_while_ago() {
    run(async {
        let mut service = Service::start().await;
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.connect(address(&service.at)).await.unwrap();
        let flight = first_flight().await;
        let send = async || {
            for datagram in &flight {
                peer.send(datagram).await.unwrap();
            }
        };
        send().await;
        let mut buffer = [0; 2048];
        let handshake = service.accept().await.handshake();
        tokio::select! {
            _ = handshake => panic!("nobody goes on with it"),
            received = peer.recv(&mut buffer) => drop(received.unwrap()),
        }
        // It is the same connection, and none to be accepted, as long as it is remembered. quinn itself would
        // remember it for three seconds, as nobody has said anything else.
        let cut = Instant::now();
        while timeout(Duration::from_millis(50), service.listener.accept()).await.is_err() {
            send().await;
        }
        let remembered = cut.elapsed();
        assert!(remembered > Duration::from_millis(500), "the peer is told nothing after {remembered:?}");
        assert!(remembered < Duration::from_millis(2500), "it was remembered for {remembered:?}");
    });
}

/// Those who are let in count no more, however many they are.
#[test]
fn connections_are_no_load() {
    run(async {
        let mut service = Service::start().await;
        let mut connections = Vec::new();
        for _ in 0..MAX_UNPROVEN + 1 {
            connections.push(service.connect().await);
        }
        assert_eq!(answer(&mut service).await, None);
    });
}

/// More than may wait are not heard, and when those who wait are gone there is room again.
#[test]
fn those_who_wait_are_bounded() {
    const MAX_WAITING: usize = 512;
    run(async {
        let mut service = Service::start().await;
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for _ in 0..MAX_WAITING + 8 {
            peer.send_to(&first_flight().await[0], address(&service.at)).await.unwrap();
        }
        assert!(timeout(QUIET, peer.recv(&mut [0])).await.is_err(), "nobody is answered");
        // Sent away as soon as they are accepted: otherwise the later ones would have to prove their address.
        for _ in 0..MAX_WAITING {
            service.accept().await.refuse();
        }
        assert!(timeout(QUIET, service.listener.accept()).await.is_err(), "one more was kept");
        service.connect().await;
    });
}
