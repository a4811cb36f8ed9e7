//! The service: what trusted clients may call, and what anyone may. Each call is admitted from its headers, before a
//! byte of its body is read, and then handed to its handler. How the bytes get here is the matter of `connections`.

mod admission;
mod authenticate;
mod blocking;
mod caller;
mod daemon_info;
#[cfg(test)]
mod fixture;
mod grpc;
mod instances;
mod methods;
mod passphrase;
mod pending_reply;
mod request_body;
mod route;
mod session;
mod settings;
mod status;
mod tokens;
mod trust;
mod withdrawal;

use std::path::PathBuf;
use std::sync::Arc;

use auth_core::Authority;
use tokio::sync::{Semaphore, watch};
use transport::Endpoint;

use crate::audit::Refusals;
use crate::limits::capacity::Capacity;
use crate::limits::quota::Quota;
use crate::limits::tunnels::Tunnels;
use crate::machines::Machines;
#[cfg(unix)]
use crate::open_file::Opener;
use crate::platform;
use crate::trust::presence::Presence;
pub(crate) use caller::{caller_of, channel_of};
pub(crate) use session::PeerSession;

/// What all connections share.
#[derive(Debug)]
pub struct Service {
    authority: Arc<Authority>,
    /// The data directory; its file system is the one that instances would fill.
    data: PathBuf,
    /// Guesses are hashed one at a time: each takes 19 MiB and a core, and peers that are not admitted do not get two
    /// of either.
    guess_hashing: Arc<Semaphore>,
    /// Trusted clients' passphrases are hashed apart from those, and never queue behind them.
    client_hashing: Arc<Semaphore>,
    /// Tokens are redeemed one at a time: who has one is not to have it read the store many times at once.
    redemptions: Arc<Semaphore>,
    /// Where it listens.
    addresses: Vec<Endpoint>,
    refusals: Refusals,
    presence: Presence,
    machines: Machines,
    /// Permits for guests to be asked about themselves.
    guest_queries: Arc<Semaphore>,
    tunnels: Tunnels,
    /// Bytes of requests in progress.
    requests: Quota,
    #[cfg(unix)]
    opener: Opener,
    /// Changes when others are trusted than before.
    trust_changes: watch::Receiver<()>,
}

impl Service {
    /// A service that asks `authority` about every call, and again about every connection when
    /// `trust_changes` changes; whom it refuses it records in `refusals`. Whom it admits it serves `machines`.
    #[must_use]
    pub fn new(
        authority: Authority,
        data: PathBuf,
        refusals: Refusals,
        trust_changes: watch::Receiver<()>,
        machines: Machines,
    ) -> Self {
        Self {
            authority: Arc::new(authority),
            data,
            guess_hashing: Arc::new(Semaphore::new(1)),
            client_hashing: Arc::new(Semaphore::new(1)),
            redemptions: Arc::new(Semaphore::new(1)),
            addresses: Vec::new(),
            refusals,
            presence: Presence::default(),
            machines,
            guest_queries: Arc::new(Semaphore::new(instances::MAX_GUEST_QUERIES)),
            tunnels: Tunnels::new(Capacity::within(platform::raise_descriptor_limit()).tunnels),
            requests: request_body::quota(),
            #[cfg(unix)]
            opener: Opener::own(),
            trust_changes,
        }
    }

    /// Goes on from what is known of who was here.
    #[must_use]
    pub(crate) fn with_presence(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// Tells who is given a token that the service listens there.
    #[must_use]
    pub fn with_addresses(mut self, addresses: Vec<Endpoint>) -> Self {
        self.addresses = addresses;
        self
    }

    /// Has callers' files opened by another program than this one: in tests this is none.
    #[cfg(unix)]
    #[must_use]
    pub fn with_opener(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Ends what has no end of its own, as the daemon stops.
    pub(crate) fn stop(&self) {
        self.tunnels.close();
    }
}
