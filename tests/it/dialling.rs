//! Connections from an address of the test's choice, and connections that are not used as our own client would:
//! the product's transports leave the one to the system, and do not offer the other.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use tokio::net::{TcpSocket, TcpStream};
use transport::tls::{ClientTls, SERVER_NAME};
use transport::{ByteStreamConnection, ConnectError, Endpoint, HostPort, Origin, Stream};

/// A stream to the service at `to` from the address `local`, after the handshake.
pub(crate) async fn stream_from(
    local: IpAddr,
    to: &Endpoint,
    tls: &ClientTls,
) -> Result<Stream, ConnectError> {
    let at = reached_from(local, to);
    match to {
        Endpoint::Tcp(_) => {
            let stream = tcp_from(local, at).await.map_err(ConnectError::Handshake)?;
            ByteStreamConnection::connect(stream, Origin::Remote(at), tls).await?.open_stream().await
        }
        Endpoint::Quic(_) => {
            let (_, connection) = quic_from(local, at, tls).await.map_err(ConnectError::Handshake)?;
            let opened = connection.open_bi().await;
            let (send, receive) = opened.map_err(|error| ConnectError::Handshake(error.into()))?;
            Ok(Box::new(tokio::io::join(receive, send)))
        }
        other => panic!("{other} is not on a network"),
    }
}

/// The address of the service at `to` that `local` can speak to. `localhost` has one of each family.
pub(crate) fn reached_from(local: IpAddr, to: &Endpoint) -> SocketAddr {
    let (Endpoint::Tcp(HostPort { host, port }) | Endpoint::Quic(HostPort { host, port })) = to else {
        panic!("{to} is not on a network")
    };
    let host = match (host.as_str(), local) {
        ("localhost", IpAddr::V4(_)) => "127.0.0.1",
        ("localhost", IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => "::ffff:127.0.0.1",
        ("localhost", IpAddr::V6(_)) => "::1",
        (host, _) => host,
    };
    SocketAddr::new(host.parse().expect("an address"), *port)
}

pub(crate) async fn tcp_from(local: IpAddr, at: SocketAddr) -> io::Result<TcpStream> {
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(at).await
}

/// A connection of quinn as it comes, and what it goes by.
pub(crate) async fn quic_from(
    local: IpAddr,
    at: SocketAddr,
    tls: &ClientTls,
) -> io::Result<(quinn::Endpoint, quinn::Connection)> {
    let (crypto, _) = tls.for_quic();
    let crypto = QuicClientConfig::try_from(crypto).map_err(io::Error::other)?;
    let endpoint = quinn::Endpoint::client(SocketAddr::new(local, 0))?;
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint.connect_with(config, at, SERVER_NAME).map_err(io::Error::other)?;
    Ok((endpoint, connecting.await?))
}
