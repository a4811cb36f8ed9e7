//! The connection to the service: which one a command is for, what it has to prove, and the calls over it.

mod context;
pub(crate) mod dial;
mod known_servers;
mod remotes;
mod server_trust;
mod service;
#[cfg(all(test, unix, feature = "unix"))]
pub(crate) mod testkit;
pub(crate) mod transports;

pub(crate) use context::{
    ADDRESS_VARIABLE, Context, FINGERPRINT_VARIABLE, InUse, NamedRoot, REMOTE_VARIABLE,
    ROOT_CERTIFICATE_VARIABLE, ServiceOptions, Whence,
};
pub(crate) use dial::CONNECT_TIMEOUT;
pub(crate) use remotes::{Existing, Listed, NotARemoteName, Remote, RemoteName, Remotes, RemotesFault};
pub(crate) use server_trust::{Acquaintance, ServerTrust, ServerTrustFault, Unknown};
pub(crate) use service::{LONGEST_LIST, Service, is_known_by_its_user, once};
