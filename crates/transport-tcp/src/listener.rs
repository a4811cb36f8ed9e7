//! Bound TCP ports: which may be bound, accepting, and why not.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use async_trait::async_trait;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use transport::network::{Bound, ListenScope, Refused, bind_on_one_port, origin};
use transport::tls::ServerTls;
use transport::{
    AcceptError, ByteStreamIncoming, Endpoint, HostPort, Incoming, ListenError, Listener, LiveConnections,
};

use crate::occupant::Occupant;
use crate::options;

/// Connections that the kernel completes before the daemon accepts them: a burst of strangers does not turn others
/// away. As many are accepted within seconds, also where each has to wait for its turn: whoever waits in a longer
/// queue would give up at its end.
const BACKLOG: u32 = 512;

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
        let addresses = scope.addresses(at, &Endpoint::Tcp(at.clone())).await?;
        let bound = match bind_on_one_port(&addresses, listen_on) {
            Ok(bound) => bound,
            Err(refused) => return Err(explain(refused).await),
        };
        let endpoints = bound.iter().map(|(_, address)| endpoint_of(*address)).collect();
        let sockets = bound.into_iter().map(|(socket, _)| socket).collect();
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
            // Some systems refuse these of a connection whose peer has gone.
            let (Ok(()), Ok(at)) = (options::set(&stream), stream.local_addr()) else { continue };
            let origin = origin(at.ip(), address);
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
/// also reports here what the new connection met on its network (accept(2)), and Windows that whoever has connected
/// has no address any more.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::NotConnected
            | Kind::TimedOut
    )
}

fn listen_on(address: SocketAddr) -> io::Result<Bound<tokio::net::TcpListener>> {
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
    let socket = socket.listen(BACKLOG)?;
    let bound = socket.local_addr()?;
    Ok((socket, bound))
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

#[cfg(windows)]
#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_windows_reserves_is_told_from_one_that_is_taken() {
        const WSAEACCES: i32 = 10013;
        let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = holder.local_addr().unwrap();
        let told = explain((address, io::Error::from_raw_os_error(WSAEACCES))).await;
        assert!(matches!(told, ListenError::InUse(_)), "{told}");
        drop(holder);
        let told = explain((address, io::Error::from_raw_os_error(WSAEACCES))).await;
        assert!(told.to_string().contains("excludedportrange"), "{told}");
    }
}
