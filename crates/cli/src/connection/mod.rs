//! The connection to the service: which one a command is for, what it has to prove, and the calls over it.

mod context;
pub(crate) mod dial;
mod known_servers;
mod remotes;
mod server_trust;
mod service;
#[cfg(all(unix, feature = "unix"))]
#[cfg(test)]
pub(crate) mod testkit;
pub(crate) mod transports;

pub(crate) use context::{
    ADDRESS_VARIABLE, Context, ExpectedRoot, FINGERPRINT_VARIABLE, REMOTE_VARIABLE,
    ROOT_CERTIFICATE_VARIABLE, SelectedRemote, ServiceOptions, ServiceSource,
};
pub(crate) use dial::CONNECT_TIMEOUT;
pub(crate) use remotes::{InvalidRemoteName, Remote, RemoteList, RemoteName, Remotes, RemotesError};
pub(crate) use server_trust::{KnownServerUpdate, ServerTrust, ServerTrustError, UnknownServer};
pub(crate) use service::{MAX_LIST_SIZE, Service, once};
