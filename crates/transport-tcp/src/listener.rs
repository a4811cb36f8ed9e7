//! Bound TCP ports: which may be bound, accepting, and why not.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use async_trait::async_trait;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use transport::tls::ServerTls;
use transport::{
    AcceptError, ByteStreamIncoming, Endpoint, HostPort, Incoming, ListenError, Listener, LiveConnections,
    Origin,
};

use crate::occupant::Occupant;
use crate::resolve::resolve;
use crate::{ListenScope, options};

/// Connections that the kernel completes before the daemon accepts them: as many as Linux allows by default
/// (`net.core.somaxconn`), so that a burst of strangers does not turn others away.
const BACKLOG: u32 = 4096;

/// How often a free port is looked for that is free on every address.
const PORT_TRIES: usize = 16;

/// Ports that listen: one for each address that the host's name stands for.
#[derive(Debug)]
pub(crate) struct TcpListener {
    /// Who was accepted from last stands at the end.
    sockets: Vec<tokio::net::TcpListener>,
    endpoints: Vec<Endpoint>,
    tls: ServerTls,
    connections: LiveConnections,
}

impl TcpListener {
    pub(crate) async fn bind(at: &HostPort, scope: ListenScope, tls: ServerTls) -> Result<Self, ListenError> {
        let endpoint = || Endpoint::Tcp(at.clone());
        let mut addresses =
            resolve(at).await.map_err(|source| ListenError::HostUnknown { endpoint: endpoint(), source })?;
        let foreign = addresses.iter().map(SocketAddr::ip).find(|ip| !ip.to_canonical().is_loopback());
        if let (ListenScope::Loopback, Some(address)) = (scope, foreign) {
            return Err(ListenError::NotLoopback { endpoint: endpoint(), address });
        }
        // A machine may be without IPv6, but not without IPv4.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let sockets = match listen_on_one_port(&addresses) {
            Ok(sockets) => sockets,
            Err(refused) => return Err(explain(refused).await),
        };
        let mut endpoints = Vec::with_capacity(sockets.len());
        for socket in &sockets {
            let bound = socket
                .local_addr()
                .map_err(|source| ListenError::Network { endpoint: endpoint(), source })?;
            endpoints.push(endpoint_of(bound));
        }
        Ok(Self { sockets, endpoints, tls, connections: LiveConnections::default() })
    }

    /// The next connection, from each socket in turn: a crowd on one does not keep out who comes by another.
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| {
            for position in 0..self.sockets.len() {
                let Some(socket) = self.sockets.get(position) else { break };
                if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                    let served = self.sockets.remove(position);
                    self.sockets.push(served);
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&mut self) -> Result<Box<dyn Incoming>, AcceptError> {
        loop {
            let (stream, address) = match self.next().await {
                Ok(accepted) => accepted,
                Err(error) if is_of_the_peer(&error) => continue,
                Err(error) => return Err(AcceptError::Transient(error)),
            };
            // Some systems refuse this of a connection whose peer has gone.
            if options::set(&stream).is_err() {
                continue;
            }
            let origin = Origin::Remote(address);
            return Ok(Box::new(ByteStreamIncoming::new(
                stream,
                origin,
                self.tls.clone(),
                &self.connections,
            )));
        }
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    async fn close(self: Box<Self>, deadline: Instant) {
        drop(self.sockets);
        self.connections.drain(deadline).await;
    }
}

/// Whether accepting failed because of the one peer, who has gone by then: others are not to wait for it. Linux
/// also reports here what the new connection met on its network (accept(2)).
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::TimedOut
    )
}

/// An address that cannot be listened on, and the system's reason.
type Refused = (SocketAddr, io::Error);

/// Listens on all `addresses`, and where the port is 0, on one that is free on all of them.
fn listen_on_one_port(addresses: &[SocketAddr]) -> Result<Vec<tokio::net::TcpListener>, Refused> {
    let port_is_free = addresses.iter().all(|address| address.port() == 0);
    let mut tries = if port_is_free { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_on_all(addresses) {
            // The port that the system chose for the first is taken on another.
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            result => return result,
        }
    }
}

/// Listens on all `addresses`, by the port of the first: the system may have chosen it. An IPv6 address that the
/// machine does not have is left out, where there is another.
fn listen_on_all(addresses: &[SocketAddr]) -> Result<Vec<tokio::net::TcpListener>, Refused> {
    let mut sockets: Vec<tokio::net::TcpListener> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let mut address = *address;
        if let Some(first) = sockets.first() {
            address.set_port(first.local_addr().map_err(|error| (address, error))?.port());
        }
        match listen_on(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if !sockets.is_empty() && lacks_ipv6(address.ip(), &error) => {}
            Err(error) => return Err((address, error)),
        }
    }
    Ok(sockets)
}

fn listen_on(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() {
        // Otherwise `::` takes IPv4 as well, on some systems: each address is what it says.
        SockRef::from(&socket).set_only_v6(true)?;
    }
    // On Unix this lets a daemon that starts again have the port while old connections linger (TIME_WAIT), and
    // never lets two listen on it. On Windows it would mean that they may; its own default keeps other users'
    // programs from taking over a port in use.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether the machine has no IPv6, or has it turned off.
fn lacks_ipv6(ip: IpAddr, error: &io::Error) -> bool {
    #[cfg(unix)]
    const NO_SUCH_FAMILY: i32 = libc::EAFNOSUPPORT;
    #[cfg(not(unix))]
    const NO_SUCH_FAMILY: i32 = 10047; // WSAEAFNOSUPPORT
    let is_loopback = ip.is_ipv6() && ip.is_loopback();
    (is_loopback && error.kind() == io::ErrorKind::AddrNotAvailable)
        || (ip.is_ipv6() && error.raw_os_error() == Some(NO_SUCH_FAMILY))
}

/// What to tell of an address that cannot be listened on.
async fn explain((address, source): Refused) -> ListenError {
    let endpoint = endpoint_of(address);
    let in_use = source.kind() == io::ErrorKind::AddrInUse;
    // Windows says the same of ports that it reserves and of those that others use alone: WSAEACCES, 10013.
    let may_be_reserved = cfg!(windows) && source.kind() == io::ErrorKind::PermissionDenied;
    if !in_use && !may_be_reserved {
        return ListenError::Network { endpoint, source };
    }
    match Occupant::of(address).await {
        Occupant::Daemon => ListenError::InUseByDaemon(endpoint),
        Occupant::Nobody if may_be_reserved => ListenError::PortReserved(endpoint),
        Occupant::Another | Occupant::Nobody => ListenError::InUse(endpoint),
    }
}

fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint::Tcp(HostPort::new(&address.ip().to_string(), address.port()))
}
