//! What a stream carries.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::service::Service;
use super::{Harness, QUIET};
use crate::Stream;

/// More bytes than any buffer holds, both ways at once.
pub async fn bytes_arrive_in_order_both_ways<H: Harness>() {
    const LENGTH: usize = 3_000_001;
    let mut service = Service::<H>::start().await;
    let (client, server) = service.stream().await;
    let exchange = |stream: Stream, sends: u64, expects: u64| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (_, read) = tokio::join!(
            async {
                writer.write_all(&pattern(sends, LENGTH)).await.unwrap();
                writer.shutdown().await.unwrap();
            },
            async {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).await.unwrap();
                read
            },
        );
        assert!(read == pattern(expects, LENGTH), "{} bytes, not those sent", read.len());
    };
    tokio::join!(exchange(client.stream, 1, 2), exchange(server.stream, 2, 1));
}

/// Bytes that repeat late, different for each seed (xorshift, Marsaglia 2003).
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A client that has said all it wants still reads the whole answer.
pub async fn one_side_may_finish_before_the_other<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    client.stream.write_all(b"a question").await.unwrap();
    client.stream.shutdown().await.unwrap();
    let mut question = Vec::new();
    server.stream.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"a question");

    let answer = pattern(3, 1_000_000);
    let mut read = Vec::new();
    let (_, _) = tokio::join!(
        async {
            server.stream.write_all(&answer).await.unwrap();
            server.stream.shutdown().await.unwrap();
        },
        async { client.stream.read_to_end(&mut read).await.unwrap() },
    );
    assert!(read == answer, "{} bytes, not those sent", read.len());
}

/// Who writes to a peer that does not read is stopped soon, and goes on once it reads.
pub async fn a_writer_waits_for_a_slow_reader<H: Harness>() {
    /// More than the system's buffers and ours hold together.
    const BOUND: usize = 32 << 20;
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let chunk = pattern(4, 64 << 10);
    let mut written = 0;
    while let Ok(count) = timeout(QUIET, client.stream.write(&chunk[written % chunk.len()..])).await {
        written += count.unwrap();
        assert!(written < BOUND, "{written} bytes were written to a peer that reads none");
    }
    assert!(written > 0);

    let total = written + (1 << 20);
    let go_on = async {
        while written < total {
            written += client.stream.write(&chunk[written % chunk.len()..]).await.unwrap();
        }
        client.stream.shutdown().await.unwrap();
    };
    let mut read = Vec::new();
    let ((), _) = tokio::join!(go_on, async { server.stream.read_to_end(&mut read).await.unwrap() });
    assert_eq!(read.len(), written);
    assert!(read.chunks(chunk.len()).all(|read| read == &chunk[..read.len()]), "not the bytes sent");
}
