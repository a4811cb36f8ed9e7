//! Trust that is withdrawn or reduced while a client is connected: its connection and its calls are judged again.

use auth_core::{Authenticated, Denied};
use tonic::Status;

use super::{PeerSession, Service, status};

impl Service {
    /// Completes when a peer that was admitted as a trusted client is one no more, or may do less than when it
    /// was. Who is here as root alone stays: nobody trusted it for a certificate.
    pub(crate) async fn trust_withdrawn(&self, session: &PeerSession) {
        let mut admitted = session.levels();
        // As nobody has looked at the original, what has changed before counts as a change too.
        let mut trust_changes = self.trust_changes.clone();
        loop {
            // Before the question: its level may be lowered by the time that this is known, and that has been
            // news to nobody here.
            if let Some(level) = *admitted.borrow_and_update()
                && !self.authority.recognise(session.caller()).is_ok_and(|client| client.level() >= level)
            {
                return;
            }
            tokio::select! {
                changed = trust_changes.changed() => if changed.is_err() { std::future::pending().await },
                // The session keeps the sender.
                _ = admitted.changed() => {}
            }
        }
    }

    /// Completes when a client that was admitted may no longer do as much, and tells why.
    pub(super) async fn authorization_lost(&self, by: &Authenticated) -> Denied {
        let mut trust_changes = self.trust_changes.clone();
        loop {
            if let Err(denied) = self.authority.still_admits(by) {
                return denied;
            }
            if trust_changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Asks again, when a message has come: headers may have been sent long before.
    pub(super) fn recheck(&self, by: &Authenticated) -> Result<(), Status> {
        self.authority.still_admits(by).map_err(|denied| status::not_admitted(&denied))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use auth_core::{Actor, Change, Level};
    use tokio::time::timeout;

    use crate::service::fixture::TestService;

    const LONG: Duration = Duration::from_secs(60);

    /// Root calls as an administrator, and becomes a client in the middle of its session; by then it is revoked.
    #[tokio::test(start_paused = true)]
    async fn trust_is_withdrawn_from_a_peer_that_is_revoked_before_it_counts_as_a_client() {
        let test = TestService::new();
        let session = test.session();
        session.admit();
        let mut withdrawn = std::pin::pin!(test.service.trust_withdrawn(&session));
        test.add(Level::Full);
        assert!(timeout(LONG, withdrawn.as_mut()).await.is_err(), "it is here as root");
        // Recognised, but revoked and told before it is noted as a client.
        let client_then = test.service.authority.recognise(session.caller()).unwrap();
        let (client, by, at) = (client_then.client(), Actor::Administrator, SystemTime::UNIX_EPOCH);
        test.change(&Change::Revoke { client, by, at });
        assert!(timeout(LONG, withdrawn.as_mut()).await.is_err(), "it is here as root yet");
        session.admit_client(&client_then);
        timeout(LONG, withdrawn).await.expect("it is a client that is not trusted");
    }

    #[tokio::test(start_paused = true)]
    async fn trust_is_withdrawn_when_the_level_is_lowered_and_not_when_it_is_raised() {
        let test = TestService::new();
        test.add(Level::ReadOnly);
        let session = test.session();
        let mut withdrawn = std::pin::pin!(test.service.trust_withdrawn(&session));
        test.set_level(Level::Full);
        assert!(timeout(LONG, withdrawn.as_mut()).await.is_err(), "more than before");
        // As long as it has made no use of it, it may be taken away again.
        test.set_level(Level::ReadOnly);
        assert!(timeout(LONG, withdrawn.as_mut()).await.is_err(), "as much as at first");
        test.set_level(Level::Full);
        let client_then = test.service.authority.recognise(session.caller()).unwrap();
        // Lowered and told between the judgement and its being noted.
        test.set_level(Level::ReadOnly);
        assert!(timeout(LONG, withdrawn.as_mut()).await.is_err(), "nobody knows yet");
        session.admit_client(&client_then);
        timeout(LONG, withdrawn).await.expect("it may do less than it was admitted for");
    }
}
