//! One bidirectional stream as a byte stream.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::{RecvStream, SendStream, StoppedError, VarInt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use crate::connection::Handle;

/// Both halves of a stream. Dropped, it ends for the peer behind all that was written, for as long as the connection
/// lives; an error in its place would overtake what is on its way. HTTP/2 knows by itself what is incomplete.
pub(crate) struct QuicStream {
    receive: RecvStream,
    /// There was nothing to read when last asked.
    waiting: bool,
    send: SendStream,
    end: End,
    /// The connection lives as long as one of its streams.
    _connection: Arc<Handle>,
}

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>;

/// How far the end of what we send has come.
enum End {
    /// There may be more to send.
    Open,
    /// Sent, and not yet acknowledged.
    Sent(Stopped),
    Acknowledged,
}

impl QuicStream {
    pub(crate) fn new((send, receive): (SendStream, RecvStream), connection: Arc<Handle>) -> Self {
        Self { receive, waiting: false, send, end: End::Open, _connection: connection }
    }
}

impl AsyncRead for QuicStream {
    /// Who was woken reads at its task's next turn. tokio lets three tasks wake one another in a row before it calls
    /// another thread for the next. Two of quinn's and two of HTTP/2's are more, and each call would be handed from
    /// thread to thread, which takes longer than the call. A turn begins a new row.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.waiting {
            this.waiting = false;
            if pin!(yield_now()).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let read = AsyncRead::poll_read(Pin::new(&mut this.receive), cx, buffer);
        this.waiting = read.is_pending();
        read
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, bytes).map_err(io::Error::from)
    }

    /// What is written waits for nothing: datagrams are made of whatever there is by then.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends our half, and waits until the peer has all of it: nobody sends what is left of a connection that is
    /// gone, as the system does for TCP.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let End::Open = this.end {
            // It fails where the peer wants no more, which is told below.
            let _ = this.send.finish();
            this.end = End::Sent(Box::pin(this.send.stopped()));
        }
        let End::Sent(stopped) = &mut this.end else { return Poll::Ready(Ok(())) };
        let stopped = ready!(stopped.as_mut().poll(cx));
        this.end = End::Acknowledged;
        Poll::Ready(match stopped {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the peer reads no more")),
            Err(error) => Err(error.into()),
        })
    }
}
