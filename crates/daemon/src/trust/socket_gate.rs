//! The gate: who may reach the service at all.
//!
//! The machine's daemon keeps ordinary users away from its Unix sockets as long as it knows no client; then
//! everyone may come, and must authenticate. A user's own daemon keeps others away always. A network has no
//! gate: nobody is enrolled for being first over one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Enrolled, Gate, TrustStore};
use transport_unix::{SocketAccess, UnixGate};

/// The gates of all Unix sockets that the daemon listens on. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct SocketGate {
    sockets: Vec<UnixGate>,
    admin_gid: Option<u32>,
    store: Arc<dyn TrustStore>,
    setting: Arc<Mutex<()>>,
}

impl SocketGate {
    /// A gate before there is any socket, of a service whose clients are in `store`. `admin_gid` is the
    /// administrators' group of the machine's daemon; a user's own has none.
    pub(crate) fn new(admin_gid: Option<u32>, store: Arc<dyn TrustStore>) -> Self {
        Self { sockets: Vec::new(), admin_gid, store, setting: Arc::default() }
    }

    /// Who may reach the service as it is now.
    pub(crate) fn access(&self) -> SocketAccess {
        match self.admin_gid {
            None => SocketAccess::Private,
            Some(group) if self.store.is_empty() => SocketAccess::Group(group),
            Some(_) => SocketAccess::Everyone,
        }
    }

    /// Guards one more socket.
    pub(crate) fn guard(&mut self, socket: UnixGate) {
        self.sockets.push(socket);
    }

    /// Lets in whom the service may see as it is now. Each socket is tried. *Blocking*.
    pub(crate) fn set(&self) -> io::Result<()> {
        // Not what a caller knew a moment ago: the client may be revoked whose enrolment is to open this. One at a
        // time, so that the one who comes last, which is after each change, asks last too.
        let _alone = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let access = self.access();
        self.sockets.iter().map(|socket| socket.set(access)).fold(Ok(()), Result::and)
    }
}

/// The authority's view.
impl Gate for SocketGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        self.set()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use auth_core::testkit::{MemoryStore, NoAudit};
    use auth_core::{
        Actor, Admission, Authority, Caller, Change, Channel, ClientCertificate, FirstClientRule, Outcome,
        TrustedClient,
    };
    use transport::testkit::certificates::{TestIdentity, TestServer};
    use transport::testkit::{run, skip};
    use transport_unix::UnixTransport;

    use super::*;

    /// A gate that is opened once whoever was enrolled is revoked again.
    #[derive(Debug)]
    struct RevokesFirst {
        store: Arc<dyn TrustStore>,
        gate: SocketGate,
    }

    impl Gate for RevokesFirst {
        fn open(&self, because: &Enrolled) -> io::Result<()> {
            for TrustedClient { fingerprint: client, .. } in self.store.clients().unwrap() {
                let revoke = Change::Revoke { client, by: Actor::Administrator, at: SystemTime::now() };
                assert_eq!(self.store.change(&revoke, &mut || Ok(())).unwrap(), Outcome::Changed);
            }
            self.gate.open(because)
        }
    }

    /// What a first client is before the gate is opened for it.
    #[derive(Clone, Copy)]
    enum Afterwards {
        Trusted,
        Revoked,
    }

    /// The socket's mode after a first client was enrolled.
    async fn mode_after_enrolment(afterwards: Afterwards) -> u32 {
        let store: Arc<dyn TrustStore> = Arc::new(MemoryStore::new());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let at = transport::Endpoint::Unix(path.clone());
        // Debian's `sudo`; any other does.
        let admin_gid = Some(27);
        let mut gate = SocketGate::new(admin_gid, Arc::clone(&store));
        let transport = UnixTransport::new(gate.access());
        let listener = transport.bind(&at, TestServer::generate().tls()).await.unwrap();
        gate.guard(listener.gate());
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o660);

        let rule = FirstClientRule { daemon_uid: 0, admin_gid };
        let gate: Box<dyn Gate> = match afterwards {
            Afterwards::Revoked => Box::new(RevokesFirst { store: Arc::clone(&store), gate }),
            Afterwards::Trusted => Box::new(gate),
        };
        let authority = Authority::new(store, gate, rule, Arc::new(NoAudit));
        let der = TestIdentity::client().certificate().to_vec();
        let certificate = Some(ClientCertificate::from_der(der).unwrap());
        let channel = Channel::Local { uid: 0, gid: 0, groups: [].into() };
        let Admission::FirstClient(claim) = authority.admit(&Caller { channel, certificate }).unwrap() else {
            panic!("nobody is awaited");
        };
        authority.enrol_first(&claim, SystemTime::now()).unwrap();
        mode()
    }

    #[test]
    fn an_enrolment_that_is_undone_meanwhile_opens_nothing() {
        if !nix::unistd::geteuid().is_root() {
            return skip("needs root, to give a socket to a group");
        }
        run(async {
            assert_eq!(mode_after_enrolment(Afterwards::Trusted).await, 0o666);
            assert_eq!(mode_after_enrolment(Afterwards::Revoked).await, 0o660);
        });
    }
}
