//! What one peer can have of the service, with a client that would take more.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::testkit::contract::QUIET;
use transport::testkit::run;

use crate::support::{Service, open, round_trip};

#[test]
fn a_ninth_stream_waits_for_one_of_eight() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let mut streams = Vec::new();
        for number in 0..8 {
            streams.push(open(&mut client, &mut served, number).await);
        }
        assert!(timeout(QUIET, client.open_stream()).await.is_err(), "a ninth stream");
        for (here, there) in &mut streams {
            round_trip(here, there).await;
        }
        // quinn tells of room for one only together with room for another.
        for (mut here, mut there) in streams.drain(..2) {
            here.shutdown().await.unwrap();
            there.shutdown().await.unwrap();
            assert_eq!(there.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(here.read(&mut [0]).await.unwrap(), 0);
        }
        let (mut here, mut there) = open(&mut client, &mut served, 8).await;
        round_trip(&mut here, &mut there).await;
    });
}

#[test]
fn there_are_no_unidirectional_streams_and_no_datagrams() {
    run(async {
        let mut service = Service::start().await;
        let (client, mut served) = service.connect_quinn().await;
        assert!(timeout(QUIET, client.open_uni()).await.is_err(), "a unidirectional stream");
        assert_eq!(client.max_datagram_size(), None, "datagrams");
        let sent = client.send_datagram(quinn_bytes());
        assert!(matches!(sent, Err(quinn::SendDatagramError::UnsupportedByPeer)), "{sent:?}");

        // And the rest works.
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        send.write_all(b"?").await.unwrap();
        let mut stream = served.next_stream().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'?');
        stream.write_u8(b'!').await.unwrap();
        let mut read = [0];
        receive.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"!");
    });
}

fn quinn_bytes() -> bytes::Bytes {
    bytes::Bytes::from_static(b"a datagram")
}

/// The service opens no streams, and a client does not let it.
#[test]
fn the_service_opens_no_streams() {
    run(async {
        let mut service = Service::start().await;
        let (_client, mut served) = service.connect().await;
        assert!(timeout(QUIET, served.open_stream()).await.is_err());
    });
}

/// What is held for a peer that keeps the first byte back and sends all others is bounded, over all its streams.
#[test]
fn what_is_not_read_is_bounded() {
    const BOUND: usize = 1 << 20;
    run(async {
        let mut service = Service::start().await;
        let (client, _served) = service.connect_quinn().await;
        let mut written = 0;
        let mut streams = Vec::new();
        for _ in 0..8 {
            let (mut send, receive) = client.open_bi().await.unwrap();
            // quinn itself would keep up to ten megabytes for sending; what has left it is what counts.
            while let Ok(count) = timeout(QUIET, send.write(&[0; 16 << 10])).await {
                written += count.unwrap();
                assert!(written < 32 << 20, "{written} bytes were written to a service that reads none");
            }
            streams.push((send, receive));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let sent = usize::try_from(client.stats().udp_tx.bytes).unwrap();
        assert!((256 << 10..BOUND).contains(&sent), "{sent} bytes were sent");
    });
}
