//! Accepting from several sockets, and from peers who have gone.

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::Origin;
#[cfg(target_os = "linux")]
use transport::Transport;
#[cfg(target_os = "linux")]
use transport::testkit::certificates::TestServer;
use transport::testkit::contract::QUIET;
use transport::testkit::run;
#[cfg(target_os = "linux")]
use transport_tcp::TcpTransport;

use crate::support::{address_of, has_ipv6, listen, localhost, tcp};

/// A crowd on one address does not keep out who comes by the other.
#[test]
fn each_address_gets_its_turn() {
    if !has_ipv6("each_address_gets_its_turn") {
        return;
    }
    run(async {
        const CROWD: usize = 20;
        let mut listener = listen(&localhost(0)).await.unwrap();
        let [v4, v6] = listener.endpoints() else { panic!("{:?}", listener.endpoints()) };
        for (busy, quiet) in [(v4.clone(), v6.clone()), (v6.clone(), v4.clone())] {
            let mut peers = Vec::new();
            for _ in 0..CROWD {
                peers.push(TcpStream::connect(address_of(&busy)).await.unwrap());
            }
            peers.push(TcpStream::connect(address_of(&quiet)).await.unwrap());
            // A socket is looked at once its readiness has been heard of.
            tokio::task::yield_now().await;
            let mut came = Vec::new();
            for _ in 0..=CROWD {
                let Origin::Remote(from) = *listener.accept().await.unwrap().origin() else { panic!() };
                came.push(from.ip());
            }
            let turn = came.iter().position(|ip| *ip == address_of(&quiet).ip()).expect("it was accepted");
            assert!(turn <= 2, "{quiet} was served as number {turn}");
        }
    });
}

/// A peer that connects and resets at once is no error that others would wait for.
#[test]
fn peers_that_have_gone_hold_up_no_one() {
    run(async {
        let mut listener = listen(&tcp("127.0.0.1", 0)).await.unwrap();
        let at = address_of(&listener.endpoints()[0]);
        for _ in 0..10 {
            let stream = TcpStream::connect(at).await.unwrap();
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let stays = TcpStream::connect(at).await.unwrap();
        // Linux still delivers those who have gone; other systems do not.
        loop {
            let incoming = listener.accept().await.expect("no error of theirs is the listener's");
            if *incoming.origin() == Origin::Remote(stays.local_addr().unwrap()) {
                break;
            }
        }
        assert!(timeout(QUIET, listener.accept()).await.is_err());
    });
}

/// The timer of each end of the connections on a port (proc_pid_net(5)): 2 is that of keepalive.
#[cfg(target_os = "linux")]
fn timers(port: u16) -> Vec<String> {
    const ESTABLISHED: &str = "01";
    let port = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == ESTABLISHED && (row[1].ends_with(&port) || row[2].ends_with(&port)))
        .map(|row| row[5][..2].to_owned())
        .collect()
}

/// A peer whose machine has gone is noticed, by either side.
#[cfg(target_os = "linux")]
#[test]
fn both_sides_ask_whether_the_other_is_still_there() {
    run(async {
        let server = TestServer::generate();
        let transport = TcpTransport::default();
        let mut listener = transport.listen(&tcp("127.0.0.1", 0), server.tls()).await.unwrap();
        let at = listener.endpoints()[0].clone();
        let serve = async { listener.accept().await.unwrap().handshake().await };
        let (client, served) = tokio::join!(transport.dial(&at, server.client(None)), serve);
        // While something is under way another timer runs.
        while timers(address_of(&at).port()) != ["02", "02"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop((client.unwrap(), served.unwrap()));
    });
}
