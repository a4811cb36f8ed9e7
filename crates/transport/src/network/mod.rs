//! Addresses on a network, as far as TCP and QUIC have them in common: which may be listened on, by one port on
//! each of a host's addresses, how a name becomes addresses, and where a peer is. What a socket is, each transport
//! knows itself.

mod resolve;

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::{Endpoint, HostPort, ListenError, Origin};

pub use resolve::resolve;

/// How many ports are passed over that are free on the first address and taken on another.
const PORT_TRIES: usize = 16;

/// Which addresses may be listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenScope {
    /// Those of the loopback interface, which only this machine reaches.
    #[default]
    Loopback,
    /// Any: other machines may reach the service.
    AnyAddress,
}

impl ListenScope {
    /// The addresses that `host_port` stands for, if a service may listen on all of them. `endpoint` is how the
    /// user named it.
    ///
    /// # Errors
    /// The host has no address, or one outside of this scope.
    pub async fn addresses(
        self,
        host_port: &HostPort,
        endpoint: &Endpoint,
    ) -> Result<Vec<SocketAddr>, ListenError> {
        let mut addresses = resolve(host_port)
            .await
            .map_err(|source| ListenError::HostUnknown { endpoint: endpoint.clone(), source })?;
        let foreign = addresses.iter().map(SocketAddr::ip).find(|ip| !ip.to_canonical().is_loopback());
        if let (Self::Loopback, Some(address)) = (self, foreign) {
            return Err(ListenError::NotLoopback { endpoint: endpoint.clone(), address });
        }
        // A machine may be without IPv6, but not without IPv4.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        Ok(addresses)
    }
}

/// A socket, and the address that it is bound to.
pub type Bound<S> = (S, SocketAddr);

/// An address that cannot be listened on, and the system's reason.
pub type Refused = (SocketAddr, io::Error);

/// Where a peer is that has reached the address `at` from the address `from`.
///
/// What reaches an address of loopback has not left this machine, whatever it says that it comes from: any user may
/// take any address that the machine has. It is known by the address reached then, so that what counts by addresses
/// counts all of loopback as one.
#[must_use]
pub fn origin(at: IpAddr, from: SocketAddr) -> Origin {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    if is_loopback(at) && !is_loopback(from.ip()) {
        return Origin::Remote(SocketAddr::new(at, from.port()));
    }
    Origin::Remote(from)
}

/// Binds a socket on each of `addresses`, and where the port is 0, on one that is free on all of them.
///
/// # Errors
/// That of the first address that cannot be bound. An IPv6 address that the machine does not have is left out,
/// where there is another.
pub fn bind_on_one_port<S>(
    addresses: &[SocketAddr],
    bind: impl Fn(SocketAddr) -> io::Result<Bound<S>>,
) -> Result<Vec<Bound<S>>, Refused> {
    let any_port = addresses.iter().all(|address| address.port() == 0);
    // Held meanwhile, so that the system chooses another port each time.
    let mut missed = Vec::new();
    loop {
        let mut sockets = Vec::with_capacity(addresses.len());
        match bind_all(addresses, &bind, &mut sockets) {
            Ok(()) => return Ok(sockets),
            Err((_, error))
                if any_port && error.kind() == io::ErrorKind::AddrInUse && missed.len() < PORT_TRIES =>
            {
                missed.push(sockets);
            }
            Err(refused) => return Err(refused),
        }
    }
}

/// Binds all `addresses` by the port of the first, which the system may have chosen.
fn bind_all<S>(
    addresses: &[SocketAddr],
    bind: &impl Fn(SocketAddr) -> io::Result<Bound<S>>,
    sockets: &mut Vec<Bound<S>>,
) -> Result<(), Refused> {
    for address in addresses {
        let mut address = *address;
        if let Some((_, first)) = sockets.first() {
            address.set_port(first.port());
        }
        match bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if !sockets.is_empty() && lacks_ipv6(address.ip(), &error) => {}
            Err(error) => return Err((address, error)),
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reaches_loopback_is_on_loopback() {
        for (at, from, expected) in [
            ("127.0.0.1", "127.0.0.1:9", "127.0.0.1:9"),
            ("127.0.0.1", "127.3.2.1:9", "127.3.2.1:9"),
            ("127.0.0.1", "192.0.2.1:9", "127.0.0.1:9"),
            ("::1", "[::1]:9", "[::1]:9"),
            ("::1", "[2001:db8::1]:9", "[::1]:9"),
            ("::ffff:127.0.0.1", "[::ffff:192.0.2.1]:9", "[::ffff:127.0.0.1]:9"),
            ("192.0.2.2", "192.0.2.1:9", "192.0.2.1:9"),
            ("192.0.2.2", "127.0.0.1:9", "127.0.0.1:9"),
        ] {
            let origin = origin(at.parse().unwrap(), from.parse().unwrap());
            assert_eq!(origin, Origin::Remote(expected.parse().unwrap()), "{from} at {at}");
        }
    }
}
