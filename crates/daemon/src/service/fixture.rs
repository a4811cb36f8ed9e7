//! A service for unit tests: with a store in memory, and no instances.

use std::sync::Arc;
use std::time::SystemTime;

use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{
    Actor, Authenticated, Authority, Caller, Change, Channel, ClientCertificate, FirstClientRule, Level,
    TrustStore,
};
use tokio::sync::watch;
use transport::testkit::certificates::TestIdentity;

use super::{PeerSession, Service};
use crate::machines::{InstancesUnavailable, Machines};

/// A service that nobody has called yet.
pub(in crate::service) struct TestService {
    pub(in crate::service) service: Service,
    store: Arc<MemoryStore>,
    trust_changed: watch::Sender<()>,
    pub(in crate::service) certificate: ClientCertificate,
    _directory: tempfile::TempDir,
}

impl TestService {
    pub(in crate::service) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let rule = FirstClientRule { daemon_uid: 0, admin_gid: None };
        let authority =
            Authority::new(Arc::<MemoryStore>::clone(&store), Box::new(NoGate), rule, Arc::new(NoAudit));
        let (trust_changed, trust_changes) = watch::channel(());
        let (refusals, _writer) = crate::audit::refusals(directory.path());
        let machines = Machines::none(InstancesUnavailable::Opening);
        let data = directory.path().to_owned();
        let service = Service::new(authority, data, refusals, trust_changes, machines);
        let der = TestIdentity::client().certificate().to_vec();
        let certificate = ClientCertificate::from_der(der).unwrap();
        Self { service, store, trust_changed, certificate, _directory: directory }
    }

    /// A connection of root's, with a certificate.
    pub(in crate::service) fn session(&self) -> PeerSession {
        let channel = Channel::Local { uid: 0, gid: 0, groups: [].into() };
        self.service.begin_session(Caller { channel, certificate: Some(self.certificate.clone()) })
    }

    /// The client, as it is known from where it calls.
    pub(in crate::service) fn client_over(&self, channel: Channel) -> Authenticated {
        let caller = Caller { channel, certificate: Some(self.certificate.clone()) };
        self.service.authority.recognise(&caller).unwrap()
    }

    pub(in crate::service) fn add(&self, level: Level) {
        let nobody = Channel::Local { uid: 0, gid: 0, groups: [].into() };
        let root = Caller { channel: nobody, certificate: None };
        let by = self.service.authority.administrator(&root).unwrap();
        let now = SystemTime::UNIX_EPOCH;
        self.service.authority.add(&by, &self.certificate, level, None, now).unwrap();
        self.trust_changed.send_replace(());
    }

    pub(in crate::service) fn change(&self, change: &Change<'_>) {
        self.store.change(change, &mut || Ok(())).unwrap();
        self.trust_changed.send_replace(());
    }

    pub(in crate::service) fn set_level(&self, level: Level) {
        let (client, by, at) = (self.certificate.fingerprint(), Actor::Administrator, SystemTime::UNIX_EPOCH);
        self.change(&Change::SetLevel { client, level, by, at });
    }
}
