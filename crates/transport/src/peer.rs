//! Who is at the other end, as far as it was proven.

use std::fmt;
use std::net::SocketAddr;

use tokio_rustls::rustls::CommonState;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it connects from.
    pub origin: Origin,
    /// The certificate that it proved to hold the key of, if it presented one.
    pub certificate: Option<ProvenCertificate>,
}

/// Where a peer connects from, known before it has said anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A process on this machine, as the kernel vouches for it.
    Local(OsCredentials),
    /// An address on a network; loopback included, for any local user can use that.
    Remote(SocketAddr),
}

/// A process's credentials at the moment it connected, from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsCredentials {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups of the process, never those of a name-service look-up.
    pub groups: Vec<u32>,
    /// Process, where the system tells it.
    pub pid: Option<i32>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(credentials) => write!(f, "uid {}", credentials.uid),
            Self::Remote(address) => write!(f, "{address}"),
        }
    }
}

/// A certificate whose private key the peer proved to hold, by signing this connection's handshake.
///
/// It says nothing about who issued the certificate or whether it has expired.
#[derive(Clone, PartialEq, Eq)]
pub struct ProvenCertificate(CertificateDer<'static>);

impl ProvenCertificate {
    /// The peer's end-entity certificate of a completed handshake. Session resumption is off on both
    /// sides ([`crate::tls`]), so a completed handshake always included the signature.
    pub(crate) fn of_session(session: &CommonState) -> Option<Self> {
        Self::of_completed_handshake(session.peer_certificates()?)
    }

    /// The end-entity certificate of `chain`, for a transport that does its handshakes by itself. It vouches
    /// that the peer's handshake is complete, under the configuration of [`crate::tls::ServerTls::for_quic`] or
    /// [`crate::tls::ClientTls::for_quic`].
    #[must_use]
    pub fn of_completed_handshake(chain: &[CertificateDer<'_>]) -> Option<Self> {
        Some(Self(chain.first()?.clone().into_owned()))
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ProvenCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProvenCertificate({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_shown_as_a_person_names_it() {
        let credentials = OsCredentials { uid: 1000, gid: 100, groups: vec![27], pid: Some(1) };
        assert_eq!(Origin::Local(credentials).to_string(), "uid 1000");
        assert_eq!(Origin::Remote(([127, 0, 0, 1], 50051).into()).to_string(), "127.0.0.1:50051");
    }

    #[test]
    fn a_certificate_does_not_fill_a_log_line() {
        let certificate = ProvenCertificate(CertificateDer::from(vec![7; 500]));
        assert_eq!(format!("{certificate:?}"), "ProvenCertificate(500 bytes)");
    }
}
