//! Addresses, and a service on them.

use std::net::SocketAddr;

use transport::network::ListenScope;
use transport::testkit::certificates::TestServer;
use transport::{Endpoint, HostPort, ListenError, Listener, Transport};
use transport_tcp::TcpTransport;

pub(crate) fn tcp(host: &str, port: u16) -> Endpoint {
    Endpoint::Tcp(HostPort::new(host, port))
}

pub(crate) fn localhost(port: u16) -> Endpoint {
    tcp("localhost", port)
}

pub(crate) fn address_of(at: &Endpoint) -> SocketAddr {
    let Endpoint::Tcp(at) = at else { panic!("{at} is no TCP address") };
    SocketAddr::new(at.host.parse().expect("an IP address"), at.port)
}

pub(crate) fn port_of(at: &Endpoint) -> u16 {
    address_of(at).port()
}

pub(crate) async fn listen_within(
    scope: ListenScope,
    at: &Endpoint,
) -> Result<Box<dyn Listener>, ListenError> {
    TcpTransport::new(scope).listen(at, TestServer::generate().tls()).await
}

pub(crate) async fn listen(at: &Endpoint) -> Result<Box<dyn Listener>, ListenError> {
    listen_within(ListenScope::default(), at).await
}

/// Whether the test is to go on: it needs IPv6, and says so where there is none.
pub(crate) fn has_ipv6(test: &str) -> bool {
    let has = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has {
        transport::testkit::skip(&format!("{test}: needs IPv6"));
    }
    has
}
