//! How the descriptors that the daemon may have are divided: among connections of peers that are not authenticated, of
//! trusted clients, and those on their way out, tunnels into instances, and files. Nothing is counted here.

use super::quota::Quota;
use super::tunnels;

/// Connections of trusted clients served at once, if there are descriptors for as many.
const MAX_CLIENT_CONNECTIONS: usize = 1024;
/// Those of one client: as many as it may have tunnels, of which each command in an instance has one on a connection
/// of its own, and some dozens of other commands beside them.
const MAX_CONNECTIONS_PER_CLIENT: usize = tunnels::MAX_PER_CLIENT + 32;
/// Those that are reserved for root, and as many again for clients of the full level: enough to look and to revoke, also
/// for several people at once.
const RESERVED_CONNECTIONS: usize = 32;
/// Descriptors that are kept for files, listeners and connections on their way out.
const RESERVED_DESCRIPTORS: usize = 64;
/// With fewer descriptors than this nobody could count on being served: those kept, and a few connections.
pub(crate) const MIN_DESCRIPTORS: u64 = RESERVED_DESCRIPTORS as u64 + 16;
/// Connections on their way out: evicted or refused, and not closed yet. Peers may come faster than others go, and
/// have to wait then.
const MAX_CLOSING: usize = RESERVED_DESCRIPTORS / 2;
/// Connections that are not yet admitted.
const MAX_UNAUTHENTICATED: usize = 256;
/// Tunnels into instances, each with a connection to a guest, if there are descriptors for as many.
const MAX_TUNNELS: usize = 256;

/// How many there may be of what takes a descriptor each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Connections of peers that are not authenticated.
    pub(crate) unauthenticated: usize,
    /// Connections of trusted clients.
    clients: usize,
    /// Tunnels into instances.
    pub(crate) tunnels: usize,
}

impl Capacity {
    /// The capacity that so many descriptors leave.
    pub(crate) fn within(descriptors: u64) -> Self {
        let available =
            usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS);
        let unauthenticated = MAX_UNAUTHENTICATED.min(available / 4);
        let tunnels = MAX_TUNNELS.min(available / 4);
        let clients = MAX_CLIENT_CONNECTIONS.min(available - unauthenticated - tunnels);
        Self { unauthenticated, clients, tunnels }
    }

    /// Connections of whomever, until they are closed.
    pub(crate) fn connections(self) -> usize {
        self.unauthenticated + self.clients + MAX_CLOSING
    }

    /// Trusted clients' quota of connections. Fewer for each where there is little room: nobody has more than a
    /// quarter of it.
    pub(crate) fn client_connections(self) -> Quota {
        let per_client = MAX_CONNECTIONS_PER_CLIENT.min(self.clients / 4);
        Quota::new(self.clients, per_client, RESERVED_CONNECTIONS.min(self.clients / 8))
    }
}

#[cfg(test)]
mod tests {
    use auth_core::{ClientCertificate, Level};
    use transport::testkit::certificates::TestIdentity;

    use super::*;
    use crate::limits::quota::{Principal, Reservation};

    #[test]
    fn a_client_has_a_quota_of_connections_and_the_last_are_reserved() {
        let client = |level| {
            let der = TestIdentity::client().certificate().to_vec();
            Principal::Client(ClientCertificate::from_der(der).unwrap().fingerprint(), level)
        };
        for (descriptors, per_client, for_readers, for_full) in
            [(MIN_DESCRIPTORS, 2, 6, 1), (160, 12, 36, 6), (1024, 96, 416, 32), (1 << 20, 96, 960, 32)]
        {
            let connections = Capacity::within(descriptors).client_connections();
            let mut reserved: Vec<Reservation> = Vec::new();
            let mut fill = |level, expected: usize| {
                let before = reserved.len();
                loop {
                    let one = client(level);
                    let own: Vec<Reservation> =
                        std::iter::from_fn(|| connections.reserve(one, 1).ok()).take(10_000).collect();
                    assert!(own.len() <= per_client, "{descriptors}: {}", own.len());
                    if own.is_empty() {
                        break;
                    }
                    reserved.extend(own);
                }
                assert_eq!(reserved.len() - before, expected, "{descriptors}: {level}");
            };
            fill(Level::ReadOnly, for_readers);
            fill(Level::Full, for_full);
            assert!(connections.reserve(Principal::Root, 1).is_ok(), "{descriptors}");
        }
    }
}
