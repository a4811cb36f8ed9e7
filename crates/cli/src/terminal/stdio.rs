//! Standard input, output and error as streams of bytes, with threads of their own: each of them may be held up
//! for as long as whoever is at its other end likes, and the connection to the service is to be kept alive
//! meanwhile. Little waits in between.

use std::io::{self, Read, Write};
use std::thread;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;

use crate::platform;

/// What is read at once, in bytes.
const CHUNK: usize = 32 * 1024;
/// Chunks that wait.
const WAITING: usize = 4;

/// Standard input. What was read, and nobody wanted any more, is lost.
pub(crate) struct Input(mpsc::Receiver<io::Result<Bytes>>);

impl Input {
    /// Begins to read. The thread ends with the input, or with this process.
    ///
    /// # Errors
    /// There is no standard input, or no thread.
    pub(crate) fn start() -> io::Result<Self> {
        Self::of(platform::stdin_as_utf8()?)
    }

    fn of(mut from: impl Read + Send + 'static) -> io::Result<Self> {
        let (chunks, input) = mpsc::channel(WAITING);
        thread::Builder::new().name("reader".to_owned()).spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let chunk = match from.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) => Ok(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let was_fault = chunk.is_err();
                if chunks.blocking_send(chunk).is_err() || was_fault {
                    return;
                }
            }
        })?;
        Ok(Self(input))
    }

    /// As a stream of bytes.
    pub(crate) fn reader(self) -> impl AsyncRead + Unpin {
        StreamReader::new(ReceiverStream::new(self.0))
    }

    /// What comes next; none at the end. Cancel-safe.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.0.recv().await
    }
}

/// Standard output, or standard error.
pub(crate) struct Output {
    chunks: mpsc::Sender<Bytes>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    /// Standard output.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::of(io::stdout())
    }

    /// Standard error.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn stderr() -> io::Result<Self> {
        Self::of(io::stderr())
    }

    fn of(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (chunks, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let (done, written) = oneshot::channel();
        thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let mut write = || {
                while let Some(chunk) = waiting.blocking_recv() {
                    // Flushed, as what a terminal shows is not to wait for the end of a line.
                    to.write_all(&chunk).and_then(|()| to.flush())?;
                }
                Ok(())
            };
            let _ = done.send(write());
        })?;
        Ok(Self { chunks, written })
    }

    /// Writes, as soon as there is room.
    ///
    /// # Errors
    /// What was written before could not be written.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        if self.chunks.send(chunk).await.is_ok() {
            return Ok(());
        }
        // The thread ends before its channel does for a fault alone.
        (&mut self.written).await.unwrap_or(Ok(())).and(Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        self.written.await.unwrap_or(Ok(()))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixStream;

    use transport::testkit::run;

    use super::*;

    #[test]
    fn bytes_come_and_go_as_they_are() {
        run(async {
            let data: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
            let (near, far) = UnixStream::pair().expect("a pair");
            let mut output = Output::of(near).expect("a thread");
            let mut input = Input::of(far).expect("a thread");
            let sent = data.clone();
            let sending = async move {
                for chunk in sent.chunks(70_000) {
                    output.write(Bytes::copy_from_slice(chunk)).await.expect("written");
                }
                output.finish().await.expect("all of it");
            };
            let receiving = async {
                let mut received = Vec::new();
                while let Some(chunk) = input.next().await {
                    received.extend_from_slice(&chunk.expect("read"));
                }
                received
            };
            assert_eq!(tokio::join!(sending, receiving).1, data);
        });
    }

    #[test]
    fn a_reader_that_has_gone_is_told_of() {
        run(async {
            let (near, far) = UnixStream::pair().expect("a pair");
            drop(far);
            let mut output = Output::of(near).expect("a thread");
            let fault = loop {
                if let Err(fault) = output.write(Bytes::from_static(b"x")).await {
                    break fault;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(fault.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(Output::of(FullDisk).expect("a thread").finish().await.ok(), Some(()));
            let mut output = Output::of(FullDisk).expect("a thread");
            output.write(Bytes::from_static(b"x")).await.expect("room");
            let fault = output.finish().await.expect_err("a fault");
            assert_eq!(fault.kind(), io::ErrorKind::StorageFull);
        });
    }

    #[test]
    fn what_is_not_taken_holds_the_other_side_back() {
        run(async {
            let (near, far) = UnixStream::pair().expect("a pair");
            near.set_nonblocking(true).expect("set");
            let mut input = Input::of(far).expect("a thread");
            let mut sent = 0;
            let mut still = 0;
            // The reading thread takes what it may some time.
            while still < 50 {
                match (&near).write(&[7; CHUNK]) {
                    Ok(length) => (sent, still) = (sent + length, 0),
                    Err(_) => {
                        still += 1;
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                }
                assert!(sent < 64 << 20, "nothing holds it back");
            }
            drop(near);
            let mut received = 0;
            while let Some(chunk) = input.next().await {
                received += chunk.expect("read").len();
            }
            assert_eq!(received, sent);
        });
    }

    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
