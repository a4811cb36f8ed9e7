//! One connection's peer as the service knows it: who it is, whether it has been admitted and at which level. Who is
//! admitted is decided elsewhere.

use std::sync::{Arc, OnceLock};

use auth_core::{Authenticated, Caller, Channel, Level};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Service, status};
use crate::limits::quota::{Principal, QuotaExceeded};
use crate::trust::presence::{Presence, PresenceGuard};

/// Calls that a peer which is not admitted may have in progress. Each can hold memory, or wait for its turn.
const MAX_CALLS_BEFORE_ADMISSION: usize = 4;

impl Service {
    /// A peer's session, on a connection that has just begun. One whose certificate is that of a trusted client is
    /// admitted before it has called anything.
    pub(crate) fn begin_session(&self, caller: Caller) -> PeerSession {
        let session = PeerSession::new(caller, self.presence.clone());
        if let Ok(client) = self.authority.recognise(&session.caller) {
            session.admit_client(&client);
        }
        session
    }
}

/// One connection's peer: who it is, and whether it has been admitted.
#[derive(Debug)]
pub(crate) struct PeerSession {
    caller: Caller,
    admitted: CancellationToken,
    /// The highest level that it was admitted at for its certificate; none if it was not.
    level: watch::Sender<Option<Level>>,
    presence: Presence,
    /// Once it was admitted for its certificate.
    present: OnceLock<PresenceGuard>,
    /// For calls that begin before it is admitted.
    calls: Arc<Semaphore>,
    /// If it was beyond its quota when it was admitted.
    rejected: OnceLock<QuotaExceeded>,
}

impl PeerSession {
    fn new(caller: Caller, presence: Presence) -> Self {
        Self {
            caller,
            admitted: CancellationToken::new(),
            level: watch::Sender::new(None),
            presence,
            present: OnceLock::new(),
            calls: Arc::new(Semaphore::new(MAX_CALLS_BEFORE_ADMISSION)),
            rejected: OnceLock::new(),
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The peer is a trusted client.
    pub(super) fn admit_client(&self, client: &Authenticated) {
        if *self.level.borrow() < Some(client.level()) {
            self.level.send_if_modified(|level| {
                let is_higher = *level < Some(client.level());
                *level = (*level).max(Some(client.level()));
                is_higher
            });
            self.present.get_or_init(|| self.presence.connected(client.client()));
        }
        self.admit();
    }

    /// The peer may stay.
    pub(super) fn admit(&self) {
        self.admitted.cancel();
    }

    /// Its connection is beyond its quota: its calls are told so from now on.
    pub(crate) fn reject(&self, exceeded: QuotaExceeded) {
        let _ = self.rejected.set(exceeded);
    }

    /// Whose quota its connection and calls are reserved from; none before it is admitted.
    pub(crate) fn principal(&self) -> Option<Principal> {
        if !self.is_admitted() {
            return None;
        }
        match (&self.caller.channel, &self.caller.certificate) {
            (Channel::Local { uid: 0, .. }, _) => Some(Principal::Root),
            (_, Some(certificate)) => {
                Some(Principal::Client(certificate.fingerprint(), (*self.level.borrow())?))
            }
            (_, None) => None,
        }
    }

    /// Why its calls are refused, if they are.
    pub(super) fn rejected(&self) -> Option<QuotaExceeded> {
        self.rejected.get().copied()
    }

    /// Begins a call, of which there may be few before the peer is admitted. It lasts until what is returned is dropped.
    pub(super) fn begin_call(&self) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if self.is_admitted() {
            return Ok(None);
        }
        match Arc::clone(&self.calls).try_acquire_owned() {
            Ok(permit) => Ok(Some(permit)),
            Err(_) => Err(status::too_many_calls()),
        }
    }

    /// The highest level that it was admitted at, and whether that changes.
    pub(super) fn levels(&self) -> watch::Receiver<Option<Level>> {
        self.level.subscribe()
    }

    fn is_admitted(&self) -> bool {
        self.admitted.is_cancelled()
    }

    /// Completes when the peer is admitted.
    pub(crate) async fn admitted(&self) {
        self.admitted.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::fixture::TestService;

    #[test]
    fn root_is_one_principal_whatever_certificate_it_shows() {
        let test = TestService::new();
        let over = |channel| {
            let caller = Caller { channel, certificate: Some(test.certificate.clone()) };
            test.service.begin_session(caller).principal()
        };
        let local = |uid| Channel::Local { uid, gid: 0, groups: [].into() };
        let network = || Channel::Remote([127, 0, 0, 1].into());
        assert_eq!(
            [over(local(0)), over(local(1000)), over(network())],
            [None; 3],
            "who is not admitted is no principal"
        );
        test.add(Level::ReadOnly);
        for level in [Level::ReadOnly, Level::Full] {
            test.set_level(level);
            let client = Some(Principal::Client(test.certificate.fingerprint(), level));
            let expected = [Some(Principal::Root), client, client];
            assert_eq!([over(local(0)), over(local(1000)), over(network())], expected, "{level}");
        }
    }

    #[tokio::test]
    async fn a_session_is_one_connection_of_a_client_from_its_admission_to_its_end() {
        let test = TestService::new();
        let connections =
            || test.service.presence.of(&test.certificate.fingerprint()).map(|it| it.connections);
        let unknown = test.session();
        assert_eq!(connections(), None);
        test.add(Level::ReadOnly);
        let session = test.session();
        assert_eq!(connections(), Some(1));
        let client = test.service.authority.recognise(session.caller()).unwrap();
        session.admit_client(&client);
        assert_eq!(connections(), Some(1), "each call says so again");
        unknown.admit_client(&client);
        assert_eq!(connections(), Some(2));
        drop((session, unknown));
        assert_eq!(connections(), Some(0));
    }
}
