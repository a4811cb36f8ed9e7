//! The service: each call is admitted from its headers, before a byte of its body is read, and then
//! handed to its handler.

mod about;
mod authenticate;
mod body;
mod instances;
mod methods;
mod passphrase;
mod reply;
mod settings;
mod status;
mod tokens;
mod trust;
mod unread;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use auth_core::{
    Actor, Admission, Authenticated, Authority, Caller, CertificateError, Channel, ClientCertificate, Denied,
    Level,
};
use http::Request;
use hyper::body::Incoming;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use transport::{Endpoint, Origin, Peer};

use crate::audit::Refusals;
use crate::machines::Machines;
#[cfg(unix)]
use crate::open_file::Opener;
use crate::presence::{Presence, Present};
use crate::shares::{Full, Holder, Shares};
use crate::tunnels::Tunnels;
use crate::{platform, serve};
use body::Body;
use methods::Route;
use reply::Response;

/// Calls that a stranger may have in progress. Each can hold memory, or wait for its turn.
const MAX_CALLS_OF_STRANGERS: usize = 4;

/// What all connections share.
#[derive(Debug)]
pub struct Service {
    authority: Arc<Authority>,
    /// The data directory; its file system is the one that instances would fill.
    data: PathBuf,
    /// Guesses are hashed one at a time: each takes 19 MiB and a core, and strangers are not to have two of
    /// either.
    guesses: Arc<Semaphore>,
    /// Trusted clients have a place of their own, and never queue behind strangers.
    clients_hash: Arc<Semaphore>,
    /// Tokens are redeemed one at a time: who has one is not to have it read the store many times at once.
    redemptions: Arc<Semaphore>,
    /// Where it listens.
    addresses: Vec<Endpoint>,
    refusals: Refusals,
    presence: Presence,
    machines: Machines,
    /// Places for guests that are asked about themselves.
    guests: Arc<Semaphore>,
    tunnels: Tunnels,
    /// Bytes of requests in progress.
    requests: Shares,
    #[cfg(unix)]
    opener: Opener,
    /// Changes when others are trusted than before.
    departures: watch::Receiver<()>,
}

impl Service {
    /// A service that asks `authority` about every call, and again about every connection when
    /// `departures` changes; whom it refuses it notes in `refusals`. Whom it admits it serves `machines`.
    #[must_use]
    pub fn new(
        authority: Authority,
        data: PathBuf,
        refusals: Refusals,
        departures: watch::Receiver<()>,
        machines: Machines,
    ) -> Self {
        Self {
            authority: Arc::new(authority),
            data,
            guesses: Arc::new(Semaphore::new(1)),
            clients_hash: Arc::new(Semaphore::new(1)),
            redemptions: Arc::new(Semaphore::new(1)),
            addresses: Vec::new(),
            refusals,
            presence: Presence::default(),
            machines,
            guests: Arc::new(Semaphore::new(instances::GUESTS_AT_ONCE)),
            tunnels: Tunnels::new(serve::tunnels_within(platform::raise_descriptor_limit())),
            requests: body::shares(),
            #[cfg(unix)]
            opener: Opener::own(),
            departures,
        }
    }

    /// Goes on from what is known of who was here.
    #[must_use]
    pub(crate) fn knowing(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// Tells who is given a token that the service listens there.
    #[must_use]
    pub fn listening_at(mut self, addresses: Vec<Endpoint>) -> Self {
        self.addresses = addresses;
        self
    }

    /// Has callers' files opened by another program than this one: in tests this is none.
    #[cfg(unix)]
    #[must_use]
    pub fn opening_with(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// A peer's visit, on a connection that has just begun. One whose certificate is that of a trusted client is
    /// admitted before it has called anything.
    pub(crate) fn welcome(&self, caller: Caller) -> Visit {
        let visit = Visit::new(caller, self.presence.clone());
        if let Ok(client) = self.authority.recognise(&visit.caller) {
            visit.admit_client(&client);
        }
        visit
    }

    /// Completes when a peer that was admitted as a trusted client is one no more, or may do less than when it
    /// was. Who is here as root alone stays: nobody trusted it for a certificate.
    pub(crate) async fn departed(&self, visit: &Visit) {
        let mut admitted = visit.level.subscribe();
        // As nobody has looked at the original, what has changed before counts as a change too.
        let mut departures = self.departures.clone();
        loop {
            // Before the question: its level may be lowered by the time that this is known, and that has been
            // news to nobody here.
            if let Some(level) = *admitted.borrow_and_update()
                && !self.authority.recognise(&visit.caller).is_ok_and(|client| client.level() >= level)
            {
                return;
            }
            tokio::select! {
                changed = departures.changed() => if changed.is_err() { std::future::pending().await },
                // The visit keeps the sender.
                _ = admitted.changed() => {}
            }
        }
    }

    /// Completes when a client that was admitted may no longer do as much, and tells why.
    async fn no_longer_admits(&self, by: &Authenticated) -> Denied {
        let mut departures = self.departures.clone();
        loop {
            if let Err(denied) = self.authority.still_admits(by) {
                return denied;
            }
            if departures.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Asks again, when a message has come: headers may have been sent long before.
    fn check_again(&self, by: &Authenticated) -> Result<(), Status> {
        self.authority.still_admits(by).map_err(|denied| status::not_admitted(&denied))
    }

    /// Ends what has no end of its own, as the daemon stops.
    pub(crate) fn stop(&self) {
        self.tunnels.end();
    }

    /// Answers one call.
    pub(crate) async fn answer(self: Arc<Self>, visit: Arc<Visit>, request: Request<Incoming>) -> Response {
        let Some((name, route)) = methods::find(request.uri().path()) else {
            return Status::unimplemented("The service has no such method.").into_http();
        };
        tracing::debug!("{name} from {}", visit.caller.channel);
        if let Some(full) = visit.turned_away.get() {
            return status::no_place(*full).into_http();
        }
        let _place = match visit.is_admitted() {
            true => None,
            false => match Arc::clone(&visit.calls).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return status::too_many_calls().into_http(),
            },
        };
        let counted = |request| Body::of(request, visit.holder(), &self.requests);
        let admitted = match route {
            Route::Open(handler) => {
                return match counted(request) {
                    Ok(request) => handler(Arc::clone(&self), visit, request).await,
                    Err(status) => status.into_http(),
                };
            }
            Route::Administrator(handler) => match self.authority.administrator(&visit.caller) {
                Ok(by) => {
                    if by.actor() == Actor::Administrator {
                        visit.admit();
                    } else if let Ok(client) = self.authority.recognise(&visit.caller) {
                        visit.admit_client(&client);
                    }
                    return match counted(request) {
                        Ok(request) => handler(Arc::clone(&self), by, request).await,
                        Err(status) => status.into_http(),
                    };
                }
                Err(denied) => Err(refuse(&self.refusals, name, &visit.caller, &denied)),
            },
            Route::Oneself(_) => self
                .authority
                .recognise(&visit.caller)
                .map_err(|denied| refuse(&self.refusals, name, &visit.caller, &denied)),
            Route::Client(..) | Route::NotYet(_) => self.admit(name, &visit.caller).await,
        };
        let by = match admitted {
            Ok(by) => by,
            Err(status) => return status.into_http(),
        };
        visit.admit_client(&by);
        if let Route::Client(needed, _) | Route::NotYet(needed) = route
            && let Err(denied) = by.require(needed)
        {
            return refuse(&self.refusals, name, &visit.caller, &denied).into_http();
        }
        let request = match counted(request) {
            Ok(request) => request,
            Err(status) => return status.into_http(),
        };
        match route {
            Route::Client(_, handler) | Route::Oneself(handler) => handler(self, by, request).await,
            Route::Open(_) | Route::Administrator(_) | Route::NotYet(_) => status::not_yet(name).into_http(),
        }
    }

    async fn admit(&self, method: &'static str, caller: &Caller) -> Result<Authenticated, Status> {
        match self.authority.admit(caller) {
            Ok(Admission::Granted(authenticated)) => Ok(authenticated),
            Ok(Admission::FirstClient(claim)) => {
                let (refusals, caller) = (self.refusals.clone(), caller.clone());
                self.blocking(move |authority| {
                    // Logged where it is done: the caller may leave before that, and does not take it back.
                    let first = authority
                        .enrol_first(&claim, SystemTime::now())
                        .map_err(|denied| refuse(&refusals, method, &caller, &denied))?;
                    tracing::info!("enrolled {} from {} as the first client", first.client(), caller.channel);
                    Ok(first)
                })
                .await?
            }
            Err(denied) => Err(refuse(&self.refusals, method, caller, &denied)),
        }
    }

    /// Runs what reads, writes or hashes off the threads that serve connections. It goes on to its end
    /// even if the caller leaves.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let authority = Arc::clone(&self.authority);
        tokio::task::spawn_blocking(move || work(&authority)).await.map_err(|_| status::internal())
    }

    /// As [`Self::blocking`], for what waits for one of the `places`.
    async fn in_turn<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let place = Arc::clone(places).acquire_owned().await.map_err(|_| status::internal())?;
        self.blocking(move |authority| {
            // The work, not the wait for it, holds the place: a caller who leaves frees nothing early.
            let _place = place;
            work(authority)
        })
        .await
    }
}

fn refuse(refusals: &Refusals, method: &'static str, caller: &Caller, denied: &Denied) -> Status {
    refusals.note(method, caller, denied);
    status::not_admitted(denied)
}

/// One connection's peer: who it is, and whether it has been admitted.
#[derive(Debug)]
pub(crate) struct Visit {
    caller: Caller,
    admitted: CancellationToken,
    /// The highest level that it was admitted at for its certificate; none if it was not.
    level: watch::Sender<Option<Level>>,
    presence: Presence,
    /// Once it was admitted for its certificate.
    present: OnceLock<Present>,
    /// Room for calls that begin before it is admitted.
    calls: Arc<Semaphore>,
    /// If there was no place for it when it was admitted.
    turned_away: OnceLock<Full>,
}

impl Visit {
    fn new(caller: Caller, presence: Presence) -> Self {
        Self {
            caller,
            admitted: CancellationToken::new(),
            level: watch::Sender::new(None),
            presence,
            present: OnceLock::new(),
            calls: Arc::new(Semaphore::new(MAX_CALLS_OF_STRANGERS)),
            turned_away: OnceLock::new(),
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The peer is a trusted client.
    fn admit_client(&self, client: &Authenticated) {
        if *self.level.borrow() < Some(client.level()) {
            self.level.send_if_modified(|level| {
                let is_higher = *level < Some(client.level());
                *level = (*level).max(Some(client.level()));
                is_higher
            });
            self.present.get_or_init(|| self.presence.arrive(client.client()));
        }
        self.admit();
    }

    /// The peer may stay.
    fn admit(&self) {
        self.admitted.cancel();
    }

    /// There is no place for it: its calls are told so from now on.
    pub(crate) fn turn_away(&self, full: Full) {
        let _ = self.turned_away.set(full);
    }

    /// Whose share its connection and calls are taken from; a stranger has none.
    pub(crate) fn holder(&self) -> Option<Holder> {
        if !self.is_admitted() {
            return None;
        }
        match (&self.caller.channel, &self.caller.certificate) {
            (Channel::Local { uid: 0, .. }, _) => Some(Holder::Root),
            (_, Some(certificate)) => {
                Some(Holder::Client(certificate.fingerprint(), (*self.level.borrow())?))
            }
            (_, None) => None,
        }
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.is_cancelled()
    }

    /// Completes when the peer is admitted.
    pub(crate) async fn admitted(&self) {
        self.admitted.cancelled().await;
    }
}

/// A peer that the authority cannot be told about.
#[derive(Debug, Error)]
pub(crate) enum UnknownPeer {
    /// A kind of origin that this daemon does not know.
    #[error("the kind of origin is unknown")]
    Origin,
    /// A certificate that is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// What the authority is told of a peer.
pub(crate) fn caller_of(peer: &Peer) -> Result<Caller, UnknownPeer> {
    let certificate = match &peer.certificate {
        Some(proven) => Some(ClientCertificate::from_der(proven.der().to_vec())?),
        None => None,
    };
    Ok(Caller { channel: channel_of(&peer.origin)?, certificate })
}

/// What the authority is told of where a peer comes from.
pub(crate) fn channel_of(origin: &Origin) -> Result<Channel, UnknownPeer> {
    match origin {
        Origin::Local(os) => {
            Ok(Channel::Local { uid: os.uid, gid: os.gid, groups: os.groups.as_slice().into() })
        }
        Origin::Remote(address) => Ok(Channel::Remote(address.ip())),
        _ => Err(UnknownPeer::Origin),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
    use auth_core::{Change, FirstClientRule, TrustStore};
    use tokio::time::timeout;
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    /// A service that nobody has called yet.
    pub(crate) struct Scene {
        pub(crate) service: Service,
        store: Arc<MemoryStore>,
        news: watch::Sender<()>,
        certificate: ClientCertificate,
        _directory: tempfile::TempDir,
    }

    impl Scene {
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Arc::new(MemoryStore::new());
            let rule = FirstClientRule { daemon_uid: 0, admin_gid: None };
            let authority =
                Authority::new(Arc::<MemoryStore>::clone(&store), Box::new(NoGate), rule, Arc::new(NoAudit));
            let (news, departures) = watch::channel(());
            let (refusals, _teller) = crate::audit::refusals(directory.path());
            let machines = Machines::none(crate::machines::NoInstances::NotYet);
            let data = directory.path().to_owned();
            let service = Service::new(authority, data, refusals, departures, machines);
            let der = TestIdentity::client().certificate().to_vec();
            let certificate = ClientCertificate::from_der(der).unwrap();
            Self { service, store, news, certificate, _directory: directory }
        }

        /// A visit of root's, with a certificate.
        fn visit(&self) -> Visit {
            let channel = Channel::Local { uid: 0, gid: 0, groups: [].into() };
            self.service.welcome(Caller { channel, certificate: Some(self.certificate.clone()) })
        }

        /// The client, as it is known from where it calls.
        pub(crate) fn client_over(&self, channel: Channel) -> Authenticated {
            let caller = Caller { channel, certificate: Some(self.certificate.clone()) };
            self.service.authority.recognise(&caller).unwrap()
        }

        pub(crate) fn add(&self, level: Level) {
            let nobody = Channel::Local { uid: 0, gid: 0, groups: [].into() };
            let root = Caller { channel: nobody, certificate: None };
            let by = self.service.authority.administrator(&root).unwrap();
            let now = SystemTime::UNIX_EPOCH;
            self.service.authority.add(&by, &self.certificate, level, None, now).unwrap();
            self.news.send_replace(());
        }

        fn make(&self, change: &Change<'_>) {
            self.store.change(change, &mut || Ok(())).unwrap();
            self.news.send_replace(());
        }

        fn set_level(&self, level: Level) {
            let (client, by, at) =
                (self.certificate.fingerprint(), Actor::Administrator, SystemTime::UNIX_EPOCH);
            self.make(&Change::SetLevel { client, level, by, at });
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    /// Root calls as an administrator, and becomes a client in the middle of its visit; by then it is revoked.
    #[tokio::test(start_paused = true)]
    async fn a_visitor_who_is_revoked_before_he_counts_as_a_client_departs() {
        let scene = Scene::new();
        let visit = scene.visit();
        visit.admit();
        let mut departed = std::pin::pin!(scene.service.departed(&visit));
        scene.add(Level::Full);
        assert!(timeout(LONG, departed.as_mut()).await.is_err(), "it is here as root");
        // Recognised, but revoked and told before it is noted as a client.
        let client_then = scene.service.authority.recognise(visit.caller()).unwrap();
        let (client, by, at) = (client_then.client(), Actor::Administrator, SystemTime::UNIX_EPOCH);
        scene.make(&Change::Revoke { client, by, at });
        assert!(timeout(LONG, departed.as_mut()).await.is_err(), "it is here as root yet");
        visit.admit_client(&client_then);
        timeout(LONG, departed).await.expect("it is a client that is not trusted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_visitor_departs_when_his_level_is_lowered_and_not_when_it_is_raised() {
        let scene = Scene::new();
        scene.add(Level::ReadOnly);
        let visit = scene.visit();
        let mut departed = std::pin::pin!(scene.service.departed(&visit));
        scene.set_level(Level::Full);
        assert!(timeout(LONG, departed.as_mut()).await.is_err(), "more than before");
        // As long as it has made no use of it, it may be taken away again.
        scene.set_level(Level::ReadOnly);
        assert!(timeout(LONG, departed.as_mut()).await.is_err(), "as much as at first");
        scene.set_level(Level::Full);
        let client_then = scene.service.authority.recognise(visit.caller()).unwrap();
        // Lowered and told between the judgement and its being noted.
        scene.set_level(Level::ReadOnly);
        assert!(timeout(LONG, departed.as_mut()).await.is_err(), "nobody knows yet");
        visit.admit_client(&client_then);
        timeout(LONG, departed).await.expect("it may do less than it was admitted for");
    }

    #[test]
    fn what_root_takes_is_roots_whatever_certificate_it_shows() {
        let scene = Scene::new();
        let over = |channel| {
            let caller = Caller { channel, certificate: Some(scene.certificate.clone()) };
            scene.service.welcome(caller).holder()
        };
        let local = |uid| Channel::Local { uid, gid: 0, groups: [].into() };
        let network = || Channel::Remote([127, 0, 0, 1].into());
        assert_eq!(
            [over(local(0)), over(local(1000)), over(network())],
            [None; 3],
            "a stranger has no share"
        );
        scene.add(Level::ReadOnly);
        for level in [Level::ReadOnly, Level::Full] {
            scene.set_level(level);
            let client = Some(Holder::Client(scene.certificate.fingerprint(), level));
            let expected = [Some(Holder::Root), client, client];
            assert_eq!([over(local(0)), over(local(1000)), over(network())], expected, "{level}");
        }
    }

    #[tokio::test]
    async fn a_visit_is_one_connection_of_a_client_from_its_admission_to_its_end() {
        let scene = Scene::new();
        let connections =
            || scene.service.presence.of(&scene.certificate.fingerprint()).map(|it| it.connections);
        let stranger = scene.visit();
        assert_eq!(connections(), None);
        scene.add(Level::ReadOnly);
        let visit = scene.visit();
        assert_eq!(connections(), Some(1));
        let client = scene.service.authority.recognise(visit.caller()).unwrap();
        visit.admit_client(&client);
        assert_eq!(connections(), Some(1), "each call says so again");
        stranger.admit_client(&client);
        assert_eq!(connections(), Some(2));
        drop((visit, stranger));
        assert_eq!(connections(), Some(0));
    }
}
