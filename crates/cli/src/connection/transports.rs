//! The transports that this client was built with.

use transport::{Endpoint, Transport};

use crate::error::Error;

#[cfg(not(any(all(unix, feature = "unix"), feature = "tcp", feature = "quic")))]
compile_error!(
    "no transport is chosen: build with one or more of the features 'unix' (on Unix), 'tcp' and 'quic', or \
     with the default ones"
);

/// The schemes of the addresses that can be dialled.
pub(crate) const BUILT_IN: &[&str] = &[
    #[cfg(all(unix, feature = "unix"))]
    "unix",
    #[cfg(feature = "tcp")]
    "tcp",
    #[cfg(feature = "quic")]
    "quic",
];

/// Where the service is found if the user names no address: at the platform's address, or at the nearest to it
/// that this build has.
pub(crate) fn default_endpoint() -> Endpoint {
    if cfg!(all(unix, feature = "unix")) {
        return transport::default_endpoint();
    }
    let at = transport::default_host_port();
    if cfg!(feature = "tcp") { Endpoint::Tcp(at) } else { Endpoint::Quic(at) }
}

/// The transport that reaches `endpoint`.
///
/// # Errors
/// This build lacks it.
pub(crate) fn for_endpoint(endpoint: &Endpoint) -> Result<Box<dyn Transport>, Error> {
    match endpoint {
        #[cfg(all(unix, feature = "unix"))]
        Endpoint::Unix(_) => Ok(Box::new(transport_unix::UnixTransport::default())),
        #[cfg(feature = "tcp")]
        Endpoint::Tcp(_) => Ok(Box::new(transport_tcp::TcpTransport::default())),
        #[cfg(feature = "quic")]
        Endpoint::Quic(_) => Ok(Box::new(transport_quic::QuicTransport::default())),
        other => Err(Error::NoTransport(other.clone())),
    }
}

/// Whether the service at this address learns from the system who connects: then root needs no certificate.
pub(crate) fn has_peer_credentials(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(_))
}

/// Whether it stands for all addresses of a machine: one to listen on, not to dial.
pub(crate) fn is_wildcard(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp(at) | Endpoint::Quic(at) => {
            at.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.to_canonical().is_unspecified())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_in_is_named() {
        for address in ["unix:/run/socket", "localhost:50051", "quic:localhost:50051"] {
            let endpoint: Endpoint = address.parse().expect("an address");
            match for_endpoint(&endpoint) {
                Ok(_) => assert!(BUILT_IN.contains(&endpoint.scheme()), "{address}"),
                Err(error) => {
                    assert!(!BUILT_IN.contains(&endpoint.scheme()), "{address}");
                    assert!(error.message().contains(&format!("the feature '{}'", endpoint.scheme())));
                    assert!(error.next_step().expect("a step").contains(BUILT_IN[0]));
                }
            }
        }
    }

    #[test]
    fn the_default_address_is_built_in() {
        assert!(BUILT_IN.contains(&default_endpoint().scheme()));
    }
}
