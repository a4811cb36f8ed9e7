//! Byte streams that can be cut from outside, and the count of connections that still live.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Anything that carries bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Cuts a connection: every read and write on its streams fails from then on, pending ones included.
#[derive(Clone)]
pub struct Closer {
    cut: CancellationToken,
    also: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Closer {
    /// Cuts the connection, now.
    pub fn close(&self) {
        self.cut.cancel();
        if let Some(also) = &self.also {
            also();
        }
    }

    /// This closer, for a connection that is more than its streams: `also` ends the rest. It may be called more
    /// than once.
    #[must_use]
    pub fn and(self, also: impl Fn() + Send + Sync + 'static) -> Self {
        Self { also: Some(Arc::new(also)), ..self }
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").field("cut", &self.cut).finish_non_exhaustive()
    }
}

/// A listener's live connections: counted, and cut together.
#[derive(Debug, Default)]
pub struct LiveConnections {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl LiveConnections {
    /// Counts one more connection, until the returned value and its clones are dropped.
    #[must_use]
    pub fn enter(&self) -> LiveConnection {
        LiveConnection { cut: self.cut.child_token(), _counted: self.tracker.token() }
    }

    /// Waits until no connection is left; at `deadline`, cuts those that are.
    pub async fn drain(self, deadline: Instant) {
        self.tracker.close();
        if tokio::time::timeout_at(deadline, self.tracker.wait()).await.is_err() {
            self.cut.cancel();
        }
    }
}

/// One counted connection. Its streams hold clones of it.
#[derive(Clone, Debug)]
pub struct LiveConnection {
    cut: CancellationToken,
    _counted: TaskTrackerToken,
}

impl LiveConnection {
    /// The handle that cuts this connection.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer { cut: self.cut.clone(), also: None }
    }

    /// Runs `step` to its end, unless the connection is cut before.
    ///
    /// # Errors
    /// Those of `step`, and [`io::ErrorKind::ConnectionAborted`] once the connection is cut.
    pub async fn unless_cut<T>(&self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.cut.run_until_cancelled(step).await.unwrap_or_else(|| Err(was_cut()))
    }
}

/// What users of a connection read from and write to: bytes after TLS.
pub type Stream = Box<dyn ByteStream>;

/// A byte stream that belongs to a [`LiveConnection`] and fails once that is cut.
pub struct CuttableStream<S> {
    io: S,
    // Reading and writing may be driven by two tasks, and a cancellation future wakes only the task
    // that polled it last: each direction has its own.
    read_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    write_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    live: LiveConnection,
}

impl<S> CuttableStream<S> {
    /// Makes `io` part of the connection `live`.
    pub fn new(io: S, live: LiveConnection) -> Self {
        Self {
            io,
            read_cut: Box::pin(live.cut.clone().cancelled_owned()),
            write_cut: Box::pin(live.cut.clone().cancelled_owned()),
            live,
        }
    }

    /// One step of writing, as [`unless_cut`].
    fn write<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        S: Unpin,
    {
        let this = self.get_mut();
        unless_cut(&this.live, &mut this.write_cut, cx, |cx| step(Pin::new(&mut this.io), cx))
    }
}

/// Takes the step unless the connection is cut: then no byte passes any more, in either direction.
///
/// Registers for the cut only when there is nothing else to do, which keeps the busy path free of it.
fn unless_cut<T>(
    live: &LiveConnection,
    cut: &mut Pin<Box<WaitForCancellationFutureOwned>>,
    cx: &mut Context<'_>,
    step: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    if live.cut.is_cancelled() {
        return Poll::Ready(Err(was_cut()));
    }
    let result = step(cx);
    if result.is_pending() && cut.as_mut().poll(cx).is_ready() {
        return Poll::Ready(Err(was_cut()));
    }
    result
}

fn was_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed")
}

impl<S: ByteStream> AsyncRead for CuttableStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        unless_cut(&this.live, &mut this.read_cut, cx, |cx| Pin::new(&mut this.io).poll_read(cx, buffer))
    }
}

impl<S: ByteStream> AsyncWrite for CuttableStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_shutdown(cx))
    }
}
