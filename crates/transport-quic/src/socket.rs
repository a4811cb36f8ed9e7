//! UDP sockets: their buffers, and giving one back while connections that were on it are still referred to.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};

use crate::udp::Udp;

/// What a socket is to hold of datagrams that come faster than they are read, or are written faster than they go.
/// At 1 Gbit/s it is full after 16 ms. Systems allow about a tenth of it by default.
pub(crate) const BUFFER: usize = 2 * 1024 * 1024;

/// A socket at `address`, with buffers as large as the system allows.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Otherwise `::` takes IPv4 as well, on some systems: each address is what it says.
        socket.set_only_v6(true)?;
    }
    raise_buffers(&socket);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Asks for [`BUFFER`]. Linux gives less without an error, as much as it allows; others fail and leave it as it is.
fn raise_buffers(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::setsockopt;
        use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};
        // Root is not bound by the limit (socket(7)).
        if setsockopt(socket, RcvBufForce, &BUFFER).is_ok()
            && setsockopt(socket, SndBufForce, &BUFFER).is_ok()
        {
            return;
        }
    }
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
}

/// A listener's socket. Whoever still holds a stream of a connection that has ended holds quinn's reference to the
/// socket too; through this one the address becomes free all the same.
pub(crate) struct ReleasableSocket(RwLock<Option<Arc<Udp>>>);

impl ReleasableSocket {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(RwLock::new(Some(Arc::new(Udp::new(socket)?))))))
    }

    /// Closes the socket. Nothing is received any more, and sending fails.
    pub(crate) fn release(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn socket(&self) -> RwLockReadGuard<'_, Option<Arc<Udp>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn released() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the listener is closed")
}

impl AsyncUdpSocket for ReleasableSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket().as_ref().ok_or_else(released)?.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        match &*self.socket() {
            Some(socket) => socket.poll_recv(cx, buffers, meta),
            // An error would be logged as one. quinn's task ends by itself.
            None => Poll::Pending,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().as_ref().ok_or_else(released)?.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket().as_ref().map_or(1, |socket| socket.max_transmit_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.socket().as_ref().map_or(1, |socket| socket.max_receive_segments())
    }

    fn may_fragment(&self) -> bool {
        self.socket().as_ref().is_none_or(|socket| socket.may_fragment())
    }
}

impl fmt::Debug for ReleasableSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReleasableSocket").field(&*self.socket()).finish()
    }
}

/// Waits until the socket takes datagrams, and refers to it only then.
struct Poller {
    socket: Arc<ReleasableSocket>,
    waiting: Option<Writable>,
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let waiting = match &mut this.waiting {
            Some(waiting) => waiting,
            None => {
                let socket = this.socket.socket().clone().ok_or_else(released)?;
                if socket.is_writable() {
                    return Poll::Ready(Ok(()));
                }
                this.waiting.insert(Box::pin(async move { socket.writable().await }))
            }
        };
        let writable = ready!(waiting.as_mut().poll(cx));
        this.waiting = None;
        Poll::Ready(writable)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("socket", &self.socket).finish_non_exhaustive()
    }
}
