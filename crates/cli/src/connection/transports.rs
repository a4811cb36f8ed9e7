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
