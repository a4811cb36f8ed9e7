//! How connections are cut, and how a listener ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::service::{Service, assert_cut, is_gone, passes, pending};
use super::{AT_ONCE, Harness, QUIET};
use crate::testkit::PATIENCE;

/// How long a closing listener waits for its streams where the test waits for the deadline.
const GRACE: Duration = Duration::from_secs(1);

/// A cut connection fails at once and for good, whoever waits on it and whatever is buffered.
pub async fn a_closer_cuts_at_once<H: Harness>() {
    let mut service = Service::<H>::start().await;

    // A read that waits.
    let (client, mut server) = service.stream().await;
    let reading = pending(async move {
        let first = server.stream.read_u8().await;
        (first, server.stream)
    })
    .await;
    server.connection.closer().close();
    let (first, mut stream) = timeout(AT_ONCE, reading).await.expect("the read ends at once").unwrap();
    assert_cut(first);
    // Not an end of stream: nobody may take what was cut for complete.
    assert_cut(stream.read_u8().await);
    assert_cut(stream.write_all(b"more").await);
    assert_cut(stream.flush().await);
    drop(stream);
    assert!(is_gone(client.stream).await);

    // A write that waits.
    let (_client, mut server) = service.stream().await;
    let writing = pending(async move {
        loop {
            if let Err(error) = server.stream.write_all(&[0; 64 << 10]).await {
                return error;
            }
        }
    })
    .await;
    server.connection.closer().close();
    assert_cut::<()>(Err(timeout(AT_ONCE, writing).await.expect("the write ends at once").unwrap()));

    // Bytes that have arrived and were not yet read.
    let (mut client, mut server) = service.stream().await;
    passes(&mut client.stream, &mut server.stream).await;
    client.stream.write_all(b"abc").await.unwrap();
    client.stream.flush().await.unwrap();
    assert_eq!(server.stream.read_u8().await.unwrap(), b'a');
    server.connection.closer().close();
    assert_cut(server.stream.read_u8().await);
    assert_cut(server.stream.write_all(b"more").await);
    drop(server);
    assert!(is_gone(client.stream).await, "something was written after the cut");

    // A connection whose stream nobody has taken yet, from the client's side.
    let (mut client, _server) = service.connect(service.server.client(None)).await;
    client.closer().close();
    if let Ok(mut stream) = client.open_stream().await {
        assert_cut(stream.write_all(b"!").await);
    }
}

/// One client's end is not another's.
pub async fn a_closer_cuts_its_own_connection_only<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (_client, cut) = service.stream().await;
    let (mut client, mut server) = service.stream().await;
    cut.connection.closer().close();
    passes(&mut client.stream, &mut server.stream).await;
    passes(&mut server.stream, &mut client.stream).await;
}

/// Nobody new is let in; who is in stays until the deadline, and not longer.
pub async fn closing_waits_for_live_streams_until_its_deadline<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let tls = service.server.client(None);
    let Service { harness: _harness, transport, listener, at, .. } = service;

    let deadline = Instant::now() + GRACE;
    let closing = tokio::spawn(listener.close(deadline));
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert!(transport.dial(&at, tls.clone()).await.is_err(), "a closing listener should let nobody in");
    }
    while Instant::now() + QUIET < deadline {
        passes(&mut client.stream, &mut server.stream).await;
        passes(&mut server.stream, &mut client.stream).await;
        tokio::time::sleep(QUIET / 10).await;
    }
    assert!(!closing.is_finished(), "a stream still lives");

    let read = server.stream.read_u8().await;
    assert!(Instant::now() >= deadline, "cut before the deadline");
    assert_cut(read);
    assert_cut(server.stream.write_all(b"more").await);
    timeout(AT_ONCE, closing).await.expect("closing ends after its deadline").unwrap();
    drop(server);
    assert!(is_gone(client.stream).await);
}

/// A peer that never ends its handshake holds up no shutdown either.
pub async fn closing_cuts_a_handshake_at_its_deadline<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let stalled = service.harness.stalled_peers(&service.at).await;
    let incoming = service.listener.accept().await.expect("a peer");
    let handshake = tokio::spawn(async move { incoming.handshake().await.map(drop) });
    let deadline = Instant::now() + QUIET;
    timeout(AT_ONCE, service.listener.close(deadline)).await.expect("closing ends after its deadline");
    let handshake = timeout(AT_ONCE, handshake).await.expect("the handshake is cut").unwrap();
    assert!(handshake.is_err());
    drop(stalled);
}

/// Closing takes no longer than what it waits for.
pub async fn closing_ends_with_the_last_stream<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (client, server) = service.stream().await;
    let closing = pending(service.listener.close(Instant::now() + 10 * PATIENCE)).await;
    drop((client, server));
    timeout(AT_ONCE, closing).await.expect("closing ends with the last stream").unwrap();
}

/// Closing leaves nothing behind that would keep the next one from listening.
pub async fn an_address_can_be_used_again<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for _ in 0..3 {
        let (mut here, mut there) = service.stream().await;
        passes(&mut here.stream, &mut there.stream).await;
        let Service { harness, transport, server, tls, listener, at } = service;
        listener.close(Instant::now()).await;
        let listener = transport.listen(&at, tls.clone()).await.expect("a listener once more");
        service = Service { harness, transport, server, tls, listener, at };
    }
}
