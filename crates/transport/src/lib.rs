//! How bytes and identities reach the service: the [`Transport`] trait, the addresses it understands,
//! the peers it delivers and the TLS that every transport speaks.
//!
//! What this crate does not do: decide who may use the service, or know what is said over a stream.
//! A [`Peer`] states only what was proven: where it comes from, and a certificate whose key it holds.

mod bytestream;
mod connection;
mod endpoint;
mod error;
pub mod network;
mod peer;
mod platform;
mod stream;
pub mod tls;

#[cfg(feature = "testkit")]
pub mod testkit;

pub use bytestream::{ByteStreamConnection, ByteStreamIncoming};
pub use connection::{Connection, Incoming, Listener, Transport};
pub use endpoint::{Endpoint, EndpointError, HostPort};
pub use error::{AcceptError, ConnectError, HandshakeError, ListenError};
pub use peer::{Origin, OsCredentials, Peer, ProvenCertificate};
pub use platform::{default_endpoint, default_host_port, system_root_certificate};
pub use stream::{ByteStream, Closer, CuttableStream, LiveConnection, LiveConnections, Stream};
