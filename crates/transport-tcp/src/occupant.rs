//! Who holds an address that cannot be bound: what to tell a person, and no more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::tls::{ROOT_NAME, unverified_issuer};

/// How long whoever listens may take to say who they are.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who answers on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// A service that shows a certificate as multipass daemons do.
    Daemon,
    /// Some other service, or one that says nothing.
    Another,
    /// Nobody.
    Nobody,
}

impl Occupant {
    /// Asks whoever listens on `address`, by the beginning of a handshake.
    pub(crate) async fn of(address: SocketAddr) -> Self {
        let mut found = Self::Nobody;
        let ask = async {
            let Ok(stream) = TcpStream::connect(reachable(address)).await else { return };
            found = Self::Another;
            if unverified_issuer(stream).await.is_some_and(|issuer| issuer == ROOT_NAME) {
                found = Self::Daemon;
            }
        };
        // Who does not answer in time is whom they were found to be by then.
        let _ = timeout(PATIENCE, ask).await;
        found
    }
}

/// Where a service that is bound to `address` can be reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
