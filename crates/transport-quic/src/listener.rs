//! Bound UDP ports: accepting, asking for proof of address under load, and closing.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use quinn::ServerConfig;
use socket2::SockRef;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use transport::network::{Bound, ListenScope, bind_on_one_port, origin};
use transport::tls::ServerTls;
use transport::{AcceptError, Endpoint, HostPort, Incoming, ListenError, Listener, LiveConnections};

use crate::config;
use crate::connection::CUT;
use crate::incoming::QuicIncoming;
use crate::lingering::Places;
use crate::runtime::ServerRuntime;
use crate::socket::{self, ReleasableSocket};

/// Handshakes under way with peers whose addresses may be forged. Beyond that a peer has to prove its address
/// first, which costs it a round trip and us nothing (Retry; RFC 9000, 8.1.2).
const MAX_UNPROVEN: usize = 32;

/// How long a closing listener waits for its last datagrams to be acknowledged.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// UDP ports that listen: one for each address that the host's name stands for.
#[derive(Debug)]
pub(crate) struct QuicListener {
    /// Who was accepted from last stands at the end.
    ports: Vec<Port>,
    endpoints: Vec<Endpoint>,
    connections: LiveConnections,
    places: Places,
    unproven: Arc<Semaphore>,
}

#[derive(Debug)]
struct Port {
    quinn: quinn::Endpoint,
    socket: Arc<ReleasableSocket>,
}

impl QuicListener {
    pub(crate) async fn bind(
        at: &HostPort,
        scope: ListenScope,
        tls: &ServerTls,
    ) -> Result<Self, ListenError> {
        let endpoint = Endpoint::Quic(at.clone());
        let addresses = scope.addresses(at, &endpoint).await?;
        let config = config::server(tls)
            .map_err(|error| ListenError::Network { endpoint, source: io::Error::other(error) })?;
        let ports = bind_on_one_port(&addresses, |address| Port::bind(address, config.clone()));
        let ports = ports.map_err(|(address, source)| {
            let endpoint = endpoint_of(address);
            match source.kind() {
                io::ErrorKind::AddrInUse => ListenError::InUse(endpoint),
                _ => ListenError::Network { endpoint, source },
            }
        })?;
        let endpoints = ports.iter().map(|(_, address)| endpoint_of(*address)).collect();
        Ok(Self {
            ports: ports.into_iter().map(|(port, _)| port).collect(),
            endpoints,
            connections: LiveConnections::default(),
            places: Places::default(),
            unproven: Arc::new(Semaphore::new(MAX_UNPROVEN)),
        })
    }
}

impl Port {
    fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Bound<Self>> {
        let socket = socket::bind(address)?;
        warn_of_small_buffers(&socket);
        let bound = socket.local_addr()?;
        let socket = ReleasableSocket::new(socket)?;
        let quinn = quinn::Endpoint::new_with_abstract_socket(
            config::endpoint(),
            Some(config),
            Arc::clone(&socket) as _,
            Arc::new(ServerRuntime),
        )?;
        Ok((Self { quinn, socket }, bound))
    }
}

fn warn_of_small_buffers(socket: &std::net::UdpSocket) {
    let socket_ref = SockRef::from(socket);
    let sizes = [socket_ref.recv_buffer_size(), socket_ref.send_buffer_size()];
    let smallest = sizes.into_iter().filter_map(Result::ok).min().unwrap_or(0);
    if smallest < socket::BUFFER {
        tracing::warn!(
            "the system limits this UDP socket's buffers to {} KiB of {}: QUIC may be slow under load; \
             raise net.core.rmem_max and net.core.wmem_max, or what limits them here",
            smallest / 1024,
            socket::BUFFER / 1024,
        );
    }
}

fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint::Quic(HostPort::new(&address.ip().to_string(), address.port()))
}

/// The next peer, from each port in turn: a crowd on one does not keep out who comes by another. Cancel-safe, as
/// quinn's is.
async fn next(ports: &mut [Port]) -> Option<quinn::Incoming> {
    let (position, incoming) = {
        let mut accepting: Vec<_> = ports.iter().map(|port| Box::pin(port.quinn.accept())).collect();
        poll_fn(|cx| {
            for (position, accept) in accepting.iter_mut().enumerate() {
                if let Poll::Ready(incoming) = accept.as_mut().poll(cx) {
                    return Poll::Ready((position, incoming));
                }
            }
            Poll::Pending
        })
        .await
    };
    if let Some(served) = ports.get_mut(position..) {
        served.rotate_left(1);
    }
    incoming
}

#[async_trait]
impl Listener for QuicListener {
    async fn accept(&mut self) -> Result<Box<dyn Incoming>, AcceptError> {
        // Something is left of a connection for a second, and then there is room again.
        let place = self.places.enter().await.ok_or(AcceptError::Closed)?;
        loop {
            let incoming = next(&mut self.ports).await.ok_or(AcceptError::Closed)?;
            let unproven = match incoming.remote_address_validated() {
                true => None,
                false => match Arc::clone(&self.unproven).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => {
                        // It cannot fail: the address is not validated.
                        let _ = incoming.retry();
                        // A flood of these is not to hold up whoever else runs on this thread.
                        yield_now().await;
                        continue;
                    }
                },
            };
            let from = incoming.remote_address();
            // Not every system tells at which address a datagram has arrived.
            let origin = origin(incoming.local_ip().unwrap_or(from.ip()), from);
            let live = self.connections.enter();
            return Ok(Box::new(QuicIncoming { incoming, place, unproven, origin, live }));
        }
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    async fn close(self: Box<Self>, deadline: Instant) {
        let Self { mut ports, connections, .. } = *self;
        {
            let mut drained = pin!(connections.drain(deadline));
            // The port is still open, for those who are in. Others are told to go, where they would wait.
            loop {
                tokio::select! {
                    biased;
                    () = &mut drained => break,
                    Some(incoming) = next(&mut ports) => {
                        incoming.refuse();
                        yield_now().await;
                    }
                }
            }
        }
        for port in &ports {
            port.quinn.close(CUT, b"");
        }
        let last_words = async {
            for port in &ports {
                port.quinn.wait_idle().await;
            }
        };
        // A peer that acknowledges nothing holds up no shutdown.
        let _ = timeout(LAST_WORDS, last_words).await;
        for port in ports {
            port.socket.release();
        }
    }
}
