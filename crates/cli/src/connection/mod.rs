//! The connection to the service: which one a command is for, what it has to prove, and the calls over it.
//!
//! `context` says which service is meant, `remotes` and `known_servers` are the user's files about services,
//! `server_trust` decides by what one has to prove itself, and `service` connects and calls; `dial` and `transports`
//! are below these. What is written on the command line comes as [`ServiceOptions`]; who the user is, from `credentials`.

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
