//! One TLS configuration for every transport.
//!
//! - The server asks for a client certificate and accepts any, or none: whether a certificate may use
//!   the service is not decided here. The peer's signature over the handshake is always verified.
//! - Session resumption and early data are off on both sides: possession of the key is proven on
//!   every connection, and nothing can be replayed.
//! - Over QUIC it is the same, save for the protocol's name. QUIC has TLS 1.3 alone (RFC 9001, 4.2).
//! - The server proves itself with a certificate that leads to one pinned root. It presents that root too,
//!   for clients that know the fingerprint alone.

mod client;
mod identity;
mod pinned;
mod root;
mod server;
mod unverified;
mod verifier;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;

/// Why TLS could not be set up.
pub use tokio_rustls::rustls::Error as TlsError;

pub use client::ClientTls;
pub use identity::{Identity, IdentityError};
pub use pinned::{CertificateDates, PinError, PresentedValidity, Validity, Verdict};
pub use root::{NotARootFingerprint, Pin, RootCertificate, RootCertificateError, RootFingerprint};
pub use server::ServerTls;
pub use unverified::unverified_issuer;

/// The name in every server certificate and in every client's SNI, whatever the address.
pub const SERVER_NAME: &str = "localhost";

/// The common name of every service's root certificate, the stock one's and ours.
pub const ROOT_NAME: &str = "Multipass Root CA";

/// gRPC's protocol name in ALPN. The stock client closes a connection that did not agree on it.
const ALPN_H2: &[u8] = b"h2";

/// Our own name for the service over QUIC: HTTP/2 in each stream. Another protocol would be another name.
const ALPN_QUIC: &[u8] = b"multipass-quic/1";

/// The one crypto provider of the product: aws-lc-rs, for its hybrid post-quantum key exchange.
/// P-256 stays on; the stock client offers no other group.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider())
}
