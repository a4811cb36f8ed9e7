//! A client's connection to the first of a host's addresses that answers.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::ClientConfig;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};
use transport::network::resolve;
use transport::tls::{ClientTls, SERVER_NAME, Verdict};
use transport::{ConnectError, Connection, Endpoint, HostPort, LiveConnections, Origin};

use crate::connection::QuicConnection;
use crate::runtime::ClientRuntime;
use crate::{config, refusal, socket};

/// How long all of it may take. A datagram that gets lost is sent again three times within.
const LIMIT: Duration = Duration::from_secs(8);
/// So many of a host's addresses are tried: each has its share of the time.
const MAX_ADDRESSES: usize = 4;

/// Connects to the first address of `host_port` that answers, in their order.
///
/// # Errors
/// What the first that answered said; otherwise that one of them refused, if one did: so the machine is there, and
/// nothing listens.
pub(crate) async fn dial(host_port: &HostPort, tls: &ClientTls) -> Result<Box<dyn Connection>, ConnectError> {
    let endpoint = Endpoint::Quic(host_port.clone());
    let (config, verdict) =
        config::client(tls).map_err(|error| ConnectError::Handshake(io::Error::other(error)))?;
    let deadline = Instant::now() + LIMIT;
    let mut addresses = resolve(host_port)
        .await
        .map_err(|source| ConnectError::HostUnknown { endpoint: endpoint.clone(), source })?;
    addresses.truncate(MAX_ADDRESSES);

    let mut refused = None;
    let mut rest = addresses.as_slice();
    while let [address, others @ ..] = rest {
        let tries = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / tries;
        rest = others;
        let answered = tokio::select! {
            connected = connect(*address, config.clone(), &verdict, &endpoint) => return connected,
            error = unreachable(*address) => Some(error),
            () = sleep(share) => None,
        };
        refused = refused.or(answered);
    }
    Err(match refused {
        Some(source) if source.kind() == io::ErrorKind::ConnectionRefused => {
            ConnectError::NotListening { endpoint, source }
        }
        Some(source) => ConnectError::Unreachable { endpoint, source },
        None => ConnectError::NoAnswer { endpoint, limit: LIMIT },
    })
}

/// Connects to one address, for as long as it takes.
async fn connect(
    address: SocketAddr,
    config: ClientConfig,
    verdict: &Verdict,
    endpoint: &Endpoint,
) -> Result<Box<dyn Connection>, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { endpoint: endpoint.clone(), source };
    let socket = socket::bind(unspecified(address)).map_err(unreachable)?;
    let client = quinn::Endpoint::new(config::endpoint(), None, socket, Arc::new(ClientRuntime));
    let connecting = client
        .map_err(unreachable)?
        .connect_with(config, address, SERVER_NAME)
        .map_err(|error| unreachable(io::Error::other(error)))?;
    let connection = connecting.await.map_err(|error| refusal::explain(error, verdict, endpoint))?;
    // A client counts its connections for nobody.
    let live = LiveConnections::default().enter();
    Ok(Box::new(QuicConnection::new(connection, Origin::Remote(address), live, None)))
}

/// Ends once the system says that `address` cannot be reached, or that nothing listens there: the other machine
/// answers a datagram to a port without a listener, but the system tells that only of a socket which can speak to
/// nobody else, and quinn's has to be able to move. This one sends a datagram with nothing in it, which the service
/// ignores.
async fn unreachable(address: SocketAddr) -> io::Error {
    let asked = async {
        let socket = UdpSocket::bind(unspecified(address)).await?;
        socket.connect(address).await?;
        socket.send(&[]).await?;
        socket.recv(&mut [0]).await
    };
    match asked.await {
        Err(error) => match error.kind() {
            // Windows names it so.
            io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => error,
            // What this socket alone has met proves nothing.
            _ => pending().await,
        },
        Ok(_) => pending().await,
    }
}

/// A port of the system's choice on any of this machine's addresses, of the same family as `address`.
fn unspecified(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
