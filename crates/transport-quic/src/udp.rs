//! A UDP socket's datagrams, on tokio.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Whether fewer datagrams than were asked for are all that there were. Others are asked for one at a time.
const TELLS_WHEN_EMPTY: bool = cfg!(target_os = "linux");

/// As quinn's own, but for how it reads.
#[derive(Debug)]
pub(crate) struct Udp {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Udp {
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        Ok(Self { state: UdpSocketState::new((&socket).into())?, io: UdpSocket::from_std(socket)? })
    }

    pub(crate) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }

    /// quinn asks until there is nothing more. Where the last answer has said so already it is not asked of the
    /// system again, as tokio does for streams.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let most = buffers.len().min(BATCH_SIZE);
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let mut last = None;
            let received = self.io.try_io(Interest::READABLE, || {
                let count = self.state.recv((&self.io).into(), buffers, meta)?;
                if TELLS_WHEN_EMPTY && count < most {
                    last = Some(count);
                    // What comes from now on makes it readable again.
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(count)
            });
            // An error is of an earlier datagram of ours, and no reason not to read.
            if let Some(count) = last.or(received.ok()) {
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// Whether it takes datagrams, as far as is known.
    pub(crate) fn is_writable(&self) -> bool {
        self.io.try_io(Interest::WRITABLE, || Ok(())).is_ok()
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    pub(crate) fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(crate) fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// As many as quinn asks for at once, and then some.
    #[tokio::test]
    async fn an_empty_socket_is_not_asked_again_and_nothing_is_left_in_it() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(socket.local_addr().unwrap()).unwrap();
        let udp = Udp::new(socket).unwrap();
        for sent in [1, BATCH_SIZE, BATCH_SIZE + 3, 2] {
            for _ in 0..sent {
                peer.send(b"one").unwrap();
            }
            let mut received = 0;
            while received < sent {
                let mut room = [[0; 64]; BATCH_SIZE];
                let mut buffers = room.each_mut().map(|bytes| IoSliceMut::new(bytes));
                let mut meta = [RecvMeta::default(); BATCH_SIZE];
                let count = poll_fn(|cx| udp.poll_recv(cx, &mut buffers, &mut meta)).await.unwrap();
                received += count;
                let asked_again = udp.io.try_io(Interest::READABLE, || Ok(())).is_ok();
                assert_eq!(asked_again, count == BATCH_SIZE, "after {received} of {sent}");
            }
            assert_eq!(received, sent);
        }
    }
}
