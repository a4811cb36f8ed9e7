//! What can go wrong in each operation of a transport, by whose fault.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::Endpoint;
use crate::tls::{PinError, TlsError};

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The transport does not serve this kind of address.
    #[error("this transport cannot listen on {0}")]
    Unsupported(Endpoint),
    /// Another process holds the address.
    #[error("{0} is in use by another program; stop that, or choose another address with --address")]
    InUse(Endpoint),
    /// A multipass daemon holds the address, as far as what it shows can be believed.
    #[error("a multipass daemon already listens on {0}; stop it, or choose another address with --address")]
    InUseByDaemon(Endpoint),
    /// Windows keeps the port for itself (error 10013), though nobody listens on it.
    #[error(
        "the port of {0} is reserved by Windows, for Hyper-V as a rule (error 10013); `netsh interface ipv4 show excludedportrange protocol=tcp` shows which are: choose another with --address, or `address` in the configuration file"
    )]
    PortReserved(Endpoint),
    /// The address is not on the loopback interface, and only that was permitted.
    #[error(
        "{endpoint} ({address}) is not on the loopback interface: other machines could reach the service. To permit that, set `allow_remote = true` or give --allow-remote"
    )]
    NotLoopback {
        /// The address as given.
        endpoint: Endpoint,
        /// What it is, or one of those that it stands for.
        address: IpAddr,
    },
    /// The host's name stands for no address.
    #[error("the host of {endpoint} cannot be found; check its name, or give its IP address")]
    HostUnknown {
        /// The address as given.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system did not let a network address be used.
    #[error("cannot listen on {endpoint}")]
    Network {
        /// The address, as resolved.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// Something that is not a socket stands in the socket's place; it is left alone.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Others may write to the directory that holds the socket, and could replace it.
    #[error("the directory {0} may be written by other users, who could replace the socket in it")]
    DirectoryWritableByOthers(PathBuf),
    /// The directory that holds the socket is another user's, who could replace it.
    #[error("the directory {0} belongs to another user, who could replace the socket in it")]
    DirectoryOfAnother(PathBuf),
    /// The operating system refused a step.
    #[error("cannot {step} {path}")]
    Io {
        /// The step, as a verb: "bind", "set the owner of".
        step: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why no further peer was accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// This one failed; pause and try again. Descriptors may have run out, or the peer left.
    #[error("cannot accept a connection now")]
    Transient(#[source] io::Error),
    /// The listener is closed.
    #[error("the listener is closed")]
    Closed,
}

/// Why a peer's handshake did not complete.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer spoke no valid TLS, offered nothing in common, or failed to prove its certificate.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
}

/// Why the service was not reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The transport does not dial this kind of address.
    #[error("this transport cannot connect to {0}")]
    Unsupported(Endpoint),
    /// Nothing listens there.
    #[error("nothing listens on {endpoint}")]
    NotListening {
        /// The address tried.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system does not let this user in.
    #[error("permission denied on {endpoint}")]
    PermissionDenied {
        /// The address tried.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The host's name stands for no address.
    #[error("the host of {endpoint} cannot be found; check its name, or give its IP address")]
    HostUnknown {
        /// The address tried.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// Datagrams were sent, and none came back: neither an answer nor a refusal.
    #[error(
        "nothing answered over UDP at {endpoint} within {} seconds; a firewall on the way may drop UDP: open it for this port, or use TCP, where the service listens on that too",
        .limit.as_secs()
    )]
    NoAnswer {
        /// The address tried.
        endpoint: Endpoint,
        /// How long was waited.
        limit: Duration,
    },
    /// Any other failure on the way.
    #[error("cannot connect to {endpoint}")]
    Unreachable {
        /// The address tried.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The server's certificate does not lead to the root certificate that this client trusts.
    #[error("the server's certificate is not trusted")]
    ServerUntrusted(#[source] TlsError),
    /// The server is not the one that the pinned fingerprint names, or none was pinned yet.
    #[error(transparent)]
    ServerUnpinned(PinError),
    /// The handshake failed otherwise.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The connection's one stream was already opened, or the connection is closed.
    #[error("the connection has no stream left to open")]
    NoStream,
}

impl ConnectError {
    /// The judgement of the server's certificate in a failure of TLS; `None` if the failure is another one.
    #[must_use]
    pub fn of_server_certificate(fault: &TlsError) -> Option<Self> {
        let TlsError::InvalidCertificate(reason) = fault else { return None };
        Some(match PinError::within(reason) {
            Some(unpinned) => Self::ServerUnpinned(unpinned.clone()),
            None => Self::ServerUntrusted(fault.clone()),
        })
    }
}
