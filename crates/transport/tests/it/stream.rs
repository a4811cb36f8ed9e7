//! Streams that can be cut, and the count of those that live.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, timeout};
use transport::{CuttableStream, LiveConnections};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Runs a test on a clock that goes on only while nothing else can: who hangs is found out at once.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async { timeout(100 * HOUR, test).await.expect("the test should end") });
}

/// A stream of one of the listener's connections with its peer, and room for four bytes on the way.
fn stream(connections: &LiveConnections) -> (CuttableStream<DuplexStream>, DuplexStream, transport::Closer) {
    let (here, peer) = duplex(4);
    let live = connections.enter();
    let closer = live.closer();
    (CuttableStream::new(here, live), peer, closer)
}

#[track_caller]
fn assert_cut<T>(result: io::Result<T>) {
    let error = result.err().expect("the stream is cut");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
}

#[test]
fn bytes_pass_until_the_cut() {
    run(async {
        let connections = LiveConnections::default();
        let (mut stream, mut peer, closer) = stream(&connections);
        stream.write_all(b"ab").await.unwrap();
        stream.flush().await.unwrap();
        assert!(stream.is_write_vectored());
        assert_eq!(
            stream.write_vectored(&[io::IoSlice::new(b"c"), io::IoSlice::new(b"d")]).await.unwrap(),
            2
        );
        let mut read = [0; 4];
        peer.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"abcd");
        peer.write_all(b"efg").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'e');

        closer.close();
        // Neither what has arrived nor what there is room for passes any more.
        for _ in 0..2 {
            assert_cut(stream.read_u8().await);
            assert_cut(stream.write(b"more").await);
            assert_cut(stream.write_vectored(&[io::IoSlice::new(b"more")]).await);
            assert_cut(stream.flush().await);
            assert_cut(stream.shutdown().await);
        }
        drop(stream);
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    });
}

#[test]
fn an_orderly_end_passes_through() {
    run(async {
        let (mut stream, mut peer, _closer) = stream(&LiveConnections::default());
        stream.shutdown().await.unwrap();
        assert_eq!(peer.read(&mut [0; 4]).await.unwrap(), 0);
        drop(peer);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
    });
}

/// Two tasks wait on one stream; each has to be woken.
#[test]
fn a_cut_wakes_the_reader_and_the_writer() {
    run(async {
        for reader_waits_first in [true, false] {
            let connections = LiveConnections::default();
            let (stream, _peer, closer) = stream(&connections);
            let (mut reader, mut writer) = split(stream);
            let read = async move { reader.read_u8().await.map(drop) };
            let write = async move { writer.write_all(b"five!").await };
            let tasks = if reader_waits_first {
                [tokio::spawn(read), tokio::spawn(write)]
            } else {
                let write = tokio::spawn(write);
                [write, tokio::spawn(read)]
            };
            // One thread runs all of them: after this, each has gone as far as it can.
            tokio::task::yield_now().await;
            closer.close();
            for task in tasks {
                assert_cut(timeout(HOUR, task).await.expect("woken").unwrap());
            }
        }
    });
}

#[test]
fn a_stream_of_a_cut_connection_is_cut_from_the_start() {
    run(async {
        let connections = LiveConnections::default();
        let (here, _peer) = duplex(4);
        let live = connections.enter();
        live.closer().close();
        assert_cut(CuttableStream::new(here, live.clone()).write_all(b"x").await);
        // But the other connections live on.
        let (mut other, mut peer, _closer) = stream(&connections);
        other.write_all(b"y").await.unwrap();
        assert_eq!(peer.read_u8().await.unwrap(), b'y');
    });
}

#[test]
fn draining_waits_for_the_last_clone() {
    run(async {
        let connections = LiveConnections::default();
        let (stream, _peer, _closer) = stream(&connections);
        let live = connections.enter();
        let clone = live.clone();
        let start = Instant::now();
        let draining = tokio::spawn(connections.drain(start + HOUR));
        drop(stream);
        drop(live);
        tokio::time::sleep(HOUR / 4).await;
        assert!(!draining.is_finished());
        drop(clone);
        draining.await.unwrap();
        assert_eq!(start.elapsed(), HOUR / 4);
    });
}

#[test]
fn draining_cuts_what_is_left_at_its_deadline() {
    run(async {
        let connections = LiveConnections::default();
        let (mut one, _one_peer, _closer) = stream(&connections);
        let (mut other, mut other_peer, _closer) = stream(&connections);
        let start = Instant::now();
        let draining = tokio::spawn(connections.drain(start + HOUR));
        let reading = tokio::spawn(async move { one.read_u8().await });
        tokio::time::sleep(HOUR / 2).await;
        other.write_all(b"!").await.unwrap();
        assert_eq!(other_peer.read_u8().await.unwrap(), b'!');

        assert_cut(reading.await.unwrap());
        assert_eq!(start.elapsed(), HOUR);
        assert_cut(other.write_all(b"!").await);
        draining.await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn draining_nothing_takes_no_time() {
    run(async {
        let start = Instant::now();
        LiveConnections::default().drain(start + HOUR).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}
