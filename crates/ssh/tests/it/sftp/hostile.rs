//! Servers that answer as they should not, or as few do.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ssh::sftp::{Sftp, SftpError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use transport::testkit::run;

const VERSION: u8 = 2;
const OPEN: u8 = 3;
const READ: u8 = 5;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;

/// A request as it arrived.
struct Request {
    kind: u8,
    id: u32,
    body: Bytes,
}

/// In which order requests that come together are answered.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Kept,
    Reversed,
}

/// Answers each request with the bytes that `answer` returns, which may be anything.
fn serve(order: Order, mut answer: impl FnMut(Request) -> Vec<u8> + Send + 'static) -> DuplexStream {
    let (near, mut far) = duplex(1 << 20);
    tokio::spawn(async move {
        while let Ok(length) = far.read_u32().await {
            let mut answers = vec![answer(request(&mut far, length).await)];
            while order == Order::Reversed
                && let Ok(length) = timeout(Duration::from_millis(5), far.read_u32()).await
            {
                let Ok(length) = length else { break };
                answers.insert(0, answer(request(&mut far, length).await));
            }
            if far.write_all(&answers.concat()).await.is_err() {
                return;
            }
        }
    });
    near
}

async fn request(stream: &mut DuplexStream, length: u32) -> Request {
    let mut packet = vec![0; length as usize];
    stream.read_exact(&mut packet).await.unwrap();
    let mut body = Bytes::from(packet);
    let (kind, id) = (body.get_u8(), body.get_u32());
    Request { kind, id, body }
}

fn packet(kind: u8, fill: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut body = BytesMut::new();
    fill(&mut body);
    let mut packet = BytesMut::new();
    packet.put_u32(1 + body.len() as u32);
    packet.put_u8(kind);
    packet.put_slice(&body);
    packet.to_vec()
}

fn reply(kind: u8, id: u32, fill: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    packet(kind, |body| {
        body.put_u32(id);
        fill(body);
    })
}

fn text(body: &mut BytesMut, text: &[u8]) {
    body.put_u32(text.len() as u32);
    body.put_slice(text);
}

fn version() -> Vec<u8> {
    packet(VERSION, |body| body.put_u32(3))
}

/// Opens files and all else as it should, but for reads.
fn reads(read: impl FnMut(u32, u64, u32) -> Vec<u8> + Send + 'static) -> DuplexStream {
    reads_in(Order::Kept, read)
}

fn reads_in(order: Order, mut read: impl FnMut(u32, u64, u32) -> Vec<u8> + Send + 'static) -> DuplexStream {
    serve(order, move |mut request| match request.kind {
        1 => version(),
        OPEN => reply(HANDLE, request.id, |body| text(body, b"h")),
        READ => {
            request.body.advance(5);
            let offset = request.body.get_u64();
            read(request.id, offset, request.body.get_u32())
        }
        _ => reply(STATUS, request.id, |body| body.put_u32(0)),
    })
}

async fn download(stream: DuplexStream) -> Result<Vec<u8>, SftpError> {
    let mut sftp = Sftp::open(stream).await?;
    let file = sftp.open_to_read(b"f").await?;
    let mut read = Vec::new();
    let keep = async |data: Bytes| {
        read.extend_from_slice(&data);
        Ok(())
    };
    sftp.read_to(&file, keep).await?;
    sftp.close(file).await?;
    Ok(read)
}

#[test]
fn a_server_that_does_not_begin_as_it_should_is_left() {
    run(async {
        for (bytes, what) in [
            (Vec::new(), "nothing at all"),
            (b"no such subsystem\n".to_vec(), "words"),
            (u32::MAX.to_be_bytes().to_vec(), "a packet that fills the memory"),
            (vec![0, 0, 0, 0], "an empty packet"),
            (packet(VERSION, |body| body.put_u32(2)), "another version"),
            (packet(VERSION, |body| body.put_slice(&[0, 0, 0, 3, 255, 255, 255, 255])), "a lie"),
            (reply(STATUS, 0, |body| body.put_u32(0)), "another reply"),
        ] {
            let (near, mut far) = duplex(1024);
            far.write_all(&bytes).await.unwrap();
            far.shutdown().await.unwrap();
            let failed = Sftp::open(near).await.err().unwrap();
            assert!(failed.is_final(), "{what}: {failed}");
        }
    });
}

#[test]
fn replies_that_make_no_sense_end_it() {
    type Answer = fn(u32) -> Vec<u8>;
    let answers: [(Answer, &str); 7] = [
        (|id| reply(DATA, id.wrapping_add(9), |body| text(body, b"x")), "to no request"),
        (|id| reply(DATA, id, |body| text(body, b"")), "no bytes, for ever"),
        (|id| reply(DATA, id, |body| text(body, &[0; 32 * 1024 + 1])), "more than was asked for"),
        (|id| reply(STATUS, id, |body| body.put_u32(0)), "success without data"),
        (|id| reply(HANDLE, id, |body| text(body, b"h")), "of another kind"),
        (|id| reply(NAME, id, |body| body.put_u32(u32::MAX)), "with names that are not there"),
        (|_| u32::MAX.to_be_bytes().to_vec(), "that fill the memory"),
    ];
    run(async {
        for (answer, what) in answers {
            let failed = download(reads(move |id, _, _| answer(id))).await.unwrap_err();
            assert!(matches!(failed, SftpError::Protocol(_)), "{what}: {failed}");
        }
        // Twice to one request, before the one that is waited for.
        let twice = reads(|id, _, _| match id % 2 {
            0 => Vec::new(),
            _ => reply(DATA, id, |body| text(body, b"x")).repeat(2),
        });
        assert!(matches!(download(twice).await, Err(SftpError::Protocol(_))));
    });
}

/// With the clock stopped, a server waits for requests just until there are no more.
#[tokio::test(start_paused = true)]
async fn short_replies_and_replies_in_any_order_make_the_same_file() {
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    for (order, most) in [(Order::Kept, 997), (Order::Reversed, 997), (Order::Reversed, 32 * 1024)] {
        let file = content.clone();
        let stream = reads_in(order, move |id, offset, length| {
            let offset = usize::try_from(offset).unwrap().min(file.len());
            let end = file.len().min(offset + most.min(length as usize));
            match &file[offset..end] {
                [] => reply(STATUS, id, |body| body.put_u32(1)),
                data => reply(DATA, id, |body| text(body, data)),
            }
        });
        assert!(download(stream).await.unwrap() == content, "{most} bytes at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_given_up() {
    let failed = download(reads(|_, _, _| Vec::new())).await.unwrap_err();
    assert!(matches!(failed, SftpError::Silent), "{failed}");
}

#[test]
fn what_it_says_of_a_failure_is_cut() {
    run(async {
        let stream = reads(|id, _, _| {
            reply(STATUS, id, |body| {
                body.put_u32(4);
                text(body, &[b'x'; 100_000]);
            })
        });
        let failed = download(stream).await.unwrap_err();
        assert!(matches!(&failed, SftpError::Refused(message) if message.len() == 200), "{failed}");
    });
}
