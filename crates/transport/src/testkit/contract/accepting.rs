//! Peers that come: in crowds, slowly, and such as are not wanted.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::service::{Service, is_turned_away};
use super::{AT_ONCE, Harness, QUIET};

/// Dialling where nothing listens fails, and soon.
pub async fn nothing_listens<H: Harness>() {
    let service = Service::<H>::start().await;
    let Service { harness: _harness, transport, server, listener, at, .. } = service;
    listener.close(Instant::now()).await;
    let dialled =
        timeout(AT_ONCE, transport.dial(&at, server.client(None))).await.expect("an answer at once");
    assert!(dialled.is_err());
}

/// While some peers never end their handshake, others are accepted and served.
pub async fn a_peer_that_stalls_holds_up_no_one<H: Harness>() {
    let service = Service::<H>::start().await;
    let Service { harness, transport, server, mut listener, at, .. } = service;
    let stalled = harness.stalled_peers(&at).await;
    assert!(!stalled.is_empty());
    // As a server does it: each handshake in a task of its own.
    let accepting = tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await.expect("a peer");
            tokio::spawn(async move {
                let Ok(mut connection) = incoming.handshake().await else { return };
                while let Some(mut stream) = connection.next_stream().await {
                    let byte = stream.read_u8().await.unwrap();
                    stream.write_u8(byte).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    for byte in 0..3 {
        let mut client = transport.dial(&at, server.client(None)).await.expect("the client's handshake");
        let mut stream = client.open_stream().await.unwrap();
        stream.write_u8(byte).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), byte);
    }
    drop(stalled);
    accepting.abort();
}

/// More clients at once than a system keeps waiting to be accepted: a busy service turns nobody away.
pub async fn a_crowd_waits_its_turn<H: Harness>() {
    const CROWD: usize = 160;
    let mut service = Service::<H>::start().await;
    let clients: Vec<_> = (0..CROWD)
        .map(|_| {
            let (transport, at) = (Arc::clone(&service.transport), service.at.clone());
            let tls = service.server.client(None);
            tokio::spawn(async move { transport.dial(&at, tls).await.map(drop) })
        })
        .collect();
    // All of them dial before the first is accepted.
    tokio::time::sleep(QUIET).await;
    for _ in 0..CROWD {
        let incoming = service.listener.accept().await.expect("a peer");
        tokio::spawn(async move { incoming.handshake().await.map(drop) });
    }
    for client in clients {
        client.await.unwrap().expect("the client's handshake");
    }
}

/// A peer that is refused before its handshake learns so.
pub async fn a_refused_peer_is_sent_away<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let tls = service.server.client(None);
    let refuse = async { service.listener.accept().await.expect("a peer").refuse() };
    let (dialled, ()) = tokio::join!(service.transport.dial(&service.at, tls), refuse);
    assert!(dialled.is_err());
}

/// A server that gives a handshake up leaves nobody waiting.
pub async fn a_handshake_that_is_dropped_is_aborted<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let stalled = service.harness.stalled_peers(&service.at).await;
    let incoming = service.listener.accept().await.expect("a peer");
    let given_up = timeout(QUIET, incoming.handshake()).await;
    assert!(given_up.is_err(), "a peer that stalls should not complete its handshake");
    drop(stalled);

    let tls = service.server.client(None);
    let mut dialling = pin!(async { is_turned_away(service.transport.dial(&service.at, tls).await).await });
    loop {
        // The other peers that stalled are still in the queue: each is taken and given up.
        tokio::select! {
            incoming = service.listener.accept() => {
                let begun = timeout(Duration::ZERO, incoming.expect("a peer").handshake()).await;
                assert!(!matches!(begun, Ok(Ok(_))), "a handshake takes more than the client's first bytes");
            }
            turned_away = &mut dialling => {
                assert!(turned_away);
                break;
            }
        }
    }
}

/// An accept that is given up loses no peer.
pub async fn accept_may_be_cancelled<H: Harness>() {
    let mut service = Service::<H>::start().await;
    assert!(timeout(QUIET, service.listener.accept()).await.is_err(), "nobody dialled");
    for _ in 0..3 {
        let tls = service.server.client(None);
        let dialled = service.transport.dial(&service.at, tls);
        let listener = &mut service.listener;
        let accept = async move {
            loop {
                // Given up over and over, at whatever point it is after a millisecond.
                if let Ok(incoming) = timeout(Duration::from_millis(1), listener.accept()).await {
                    return incoming.expect("a peer").handshake().await;
                }
            }
        };
        let (client, server) = tokio::join!(dialled, accept);
        assert!(client.is_ok() && server.is_ok());
    }
}
