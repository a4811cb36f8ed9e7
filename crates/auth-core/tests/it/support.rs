//! What the tests share: certificates, stores of both kinds, and wrappers that tell what happens.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use auth_core::testkit::MemoryStore;
use auth_core::{
    Actor, Audit, Authenticated, Authority, Caller, Change, Channel, ClientCertificate, Condition, Damage,
    Denied, Enrolled, Enrolment, Entry, FileStore, Fingerprint, FirstClientRule, Gate, Level, Notice,
    Outcome, Passphrase, PassphraseHash, StoreError, TrustStore, TrustedClient,
};
use durable::FileError;
use tempfile::TempDir;

/// The daemon's user and the administrators' group in these tests.
pub(crate) const DAEMON: u32 = 990;
pub(crate) const ADMIN: u32 = 27;
pub(crate) const RULE: FirstClientRule = FirstClientRule { daemon_uid: DAEMON, admin_gid: Some(ADMIN) };

/// The moment at which everything here happens: 2023-11-14T22:13:20Z.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(crate) fn der(name: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// A new client's certificate.
pub(crate) fn certificate(name: &str) -> ClientCertificate {
    ClientCertificate::from_der(der(name)).unwrap()
}

pub(crate) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.into()).unwrap()
}

pub(crate) fn local(uid: u32, gid: u32, groups: &[u32]) -> Channel {
    Channel::Local { uid, gid, groups: groups.into() }
}

pub(crate) fn remote(address: &str) -> Channel {
    Channel::Remote(address.parse().unwrap())
}

/// Root, over the Unix socket.
pub(crate) fn root(certificate: &ClientCertificate) -> Caller {
    Caller { channel: local(0, 0, &[]), certificate: Some(certificate.clone()) }
}

/// Somebody on the network.
pub(crate) fn stranger(certificate: &ClientCertificate) -> Caller {
    Caller { channel: remote("192.0.2.7"), certificate: Some(certificate.clone()) }
}

/// Enrols root's `certificate` without asking an authority.
pub(crate) fn enrol(store: &dyn TrustStore, condition: &Condition, certificate: &ClientCertificate) {
    let arrival = Arrival { certificate, channel: &local(0, 0, &[]), at: now() };
    assert_eq!(store.enrol_if(condition, &arrival).unwrap(), Outcome::Changed);
}

/// A client on its way in.
pub(crate) struct Arrival<'a> {
    pub(crate) certificate: &'a ClientCertificate,
    pub(crate) channel: &'a Channel,
    pub(crate) at: SystemTime,
}

/// Changes that nobody writes down.
pub(crate) trait Unrecorded: TrustStore {
    fn make(&self, change: &Change<'_>) -> Result<Outcome, StoreError> {
        self.change(change, &mut || Ok(()))
    }

    fn enrol_if(&self, condition: &Condition, arrival: &Arrival<'_>) -> Result<Outcome, StoreError> {
        let Arrival { certificate, channel, at } = *arrival;
        let (condition, channel) = (condition.clone(), Some(channel));
        let level = Level::Full;
        self.make(&Change::Enrol(Enrolment { condition, certificate, level, channel, name: None, at }))
    }

    fn revoke(&self, client: &ClientCertificate) -> Result<Outcome, StoreError> {
        self.make(&Change::Revoke { client: client.fingerprint(), by: Actor::Administrator, at: now() })
    }

    /// Adds a client that may only read.
    fn add_read_only(&self, certificate: &ClientCertificate) -> Result<Outcome, StoreError> {
        let (condition, level) = (Condition::WantedBy(Actor::Administrator), Level::ReadOnly);
        let at = now();
        self.make(&Change::Enrol(Enrolment { condition, certificate, level, channel: None, name: None, at }))
    }

    fn set_level(&self, client: &ClientCertificate, level: Level) -> Result<Outcome, StoreError> {
        let (client, by, at) = (client.fingerprint(), Actor::Administrator, now());
        self.make(&Change::SetLevel { client, level, by, at })
    }

    fn set_passphrase(&self, passphrase: Option<PassphraseHash>) -> Result<(), StoreError> {
        self.make(&Change::SetPassphrase { passphrase, by: Actor::Administrator }).map(drop)
    }
}

impl<T: TrustStore + ?Sized> Unrecorded for T {}

/// The questions to a store, each passed on to another.
macro_rules! ask {
    ($inner:tt: $($question:ident)+) => {
        $(ask!(@$question $inner);)+
    };
    (@level $inner:tt) => {
        fn level(&self, client: &Fingerprint) -> Option<auth_core::Level> {
            self.$inner.level(client)
        }
    };
    (@is_empty $inner:tt) => {
        fn is_empty(&self) -> bool {
            self.$inner.is_empty()
        }
    };
    (@is_armed $inner:tt) => {
        fn is_armed(&self) -> bool {
            self.$inner.is_armed()
        }
    };
    (@passphrase $inner:tt) => {
        fn passphrase(&self) -> Option<PassphraseHash> {
            self.$inner.passphrase()
        }
    };
    (@tokens $inner:tt) => {
        fn token(&self, hash: &auth_core::TokenHash) -> Result<auth_core::Token, auth_core::InvalidToken> {
            self.$inner.token(hash)
        }

        fn tokens(&self, at: auth_core::Moment) -> Vec<auth_core::Token> {
            self.$inner.tokens(at)
        }
    };
    (@clients $inner:tt) => {
        fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
            self.$inner.clients()
        }
    };
    (@change $inner:tt) => {
        fn change(
            &self,
            change: &Change<'_>,
            record: &mut dyn FnMut() -> std::io::Result<()>,
        ) -> Result<Outcome, StoreError> {
            self.$inner.change(change, record)
        }
    };
}
pub(crate) use ask;

/// Sets a passphrase, and gives the condition for enrolling by it.
pub(crate) fn by_passphrase(store: &dyn TrustStore) -> Condition {
    let hash = PassphraseHash::of(&passphrase("open sesame")).unwrap();
    store.set_passphrase(Some(hash.clone())).unwrap();
    Condition::PassphraseIs(hash)
}

/// A data directory, removed at the end.
pub(crate) struct Data(TempDir);

impl Data {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Whatever the umask, or the store would refuse to be in it.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self(directory)
    }

    /// One with a trust file that somebody wrote before the daemon was first started.
    pub(crate) fn with_clients(text: impl AsRef<[u8]>) -> Self {
        let data = Self::new();
        fs::create_dir(data.directory()).unwrap();
        fs::write(data.clients(), text).unwrap();
        data
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.path().join("authenticated-certs")
    }

    pub(crate) fn clients(&self) -> PathBuf {
        self.directory().join("multipass_client_certs.pem")
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        self.directory().join("passphrase.phc")
    }

    /// The bytes of the trust file.
    pub(crate) fn text(&self) -> Vec<u8> {
        fs::read(self.clients()).unwrap()
    }

    /// How many blocks the trust file holds.
    pub(crate) fn blocks(&self) -> usize {
        String::from_utf8_lossy(&self.text()).matches("-----BEGIN CERTIFICATE-----").count()
    }

    /// The names in the store's directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What was set aside, in the order of the files' names.
    pub(crate) fn set_aside(&self) -> Vec<Vec<u8>> {
        let names = self.names().into_iter().filter(|name| name.contains(".damaged-"));
        names.map(|name| fs::read(self.directory().join(name)).unwrap()).collect()
    }

    pub(crate) fn try_open(&self) -> Result<(FileStore, Vec<Damage>), StoreError> {
        self.try_open_at(now())
    }

    /// Opens the store, and gives what it reports as damaged.
    pub(crate) fn try_open_at(&self, at: SystemTime) -> Result<(FileStore, Vec<Damage>), StoreError> {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&reported);
        let store = FileStore::open(&self.path(), at, move |notice| {
            if let Notice::Damaged(damage) = notice {
                sink.lock().unwrap().push(damage.clone());
            }
        })?;
        let damage = std::mem::take(&mut *reported.lock().unwrap());
        Ok((store, damage))
    }

    /// Opens the store, in which nothing may be damaged.
    pub(crate) fn open(&self) -> FileStore {
        let (store, damage) = self.try_open().unwrap();
        assert_eq!(damage, []);
        store
    }
}

/// Which of the two stores a test runs over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    File,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Memory, Kind::File];

/// What a store has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Past {
    /// Nobody was ever enrolled.
    Fresh,
    /// The client was the first.
    Enrolled,
    /// The client was the first and is gone, so that the store is empty again.
    Emptied,
}

type Log = Arc<Mutex<Vec<&'static str>>>;

/// A store and a gate with a judge over them, and all that happened to them.
pub(crate) struct Bench {
    pub(crate) authority: Authority,
    pub(crate) store: Shared<WatchedStore>,
    pub(crate) gate: Shared<WatchedGate>,
    pub(crate) audit: Arc<WatchedAudit>,
    /// Of a file store only.
    pub(crate) data: Option<Data>,
    log: Log,
}

impl Bench {
    /// A store of this kind and past, in which `client` is or was the first client.
    pub(crate) fn new(kind: Kind, past: Past, client: &ClientCertificate, rule: FirstClientRule) -> Self {
        let data = matches!(kind, Kind::File).then(Data::new);
        let open = || match &data {
            Some(data) => Box::new(data.open()) as Box<dyn TrustStore>,
            None => Box::new(MemoryStore::new()),
        };
        let mut store = open();
        if !matches!(past, Past::Fresh) {
            enrol(&*store, &Condition::FirstClient, client);
        }
        if matches!(past, Past::Emptied) {
            match &data {
                Some(data) => {
                    fs::remove_file(data.clients()).unwrap();
                    store = open();
                }
                None => assert_eq!(store.revoke(client).unwrap(), Outcome::Changed),
            }
        }
        Self::over(store, data, rule)
    }

    /// A judge over `store`.
    pub(crate) fn over(store: Box<dyn TrustStore>, data: Option<Data>, rule: FirstClientRule) -> Self {
        let log = Log::default();
        let store = Shared::new(WatchedStore { inner: store, log: Arc::clone(&log), fails: false.into() });
        let gate = Shared::new(WatchedGate { log: Arc::clone(&log), fails: false.into() });
        let audit = Arc::new(WatchedAudit { log: Arc::clone(&log), fails: false.into() });
        let (judged, guarded) = (Arc::new(store.clone()), Box::new(gate.clone()));
        let authority = Authority::new(judged, guarded, rule, Arc::<WatchedAudit>::clone(&audit));
        Self { authority, store, gate, audit, data, log }
    }

    /// What has happened since this was last asked.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

/// Kept by the test while the authority has it.
#[derive(Debug)]
pub(crate) struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self(Arc::new(inner))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: TrustStore> TrustStore for Shared<T> {
    ask!(0: level is_empty is_armed passphrase tokens clients change);
}

impl<T: Gate> Gate for Shared<T> {
    fn open(&self, because: &Enrolled) -> io::Result<()> {
        self.0.open(because)
    }
}

/// Logs `stored` once another store has stored a client; stores nothing while it is to fail.
#[derive(Debug)]
pub(crate) struct WatchedStore {
    inner: Box<dyn TrustStore>,
    log: Log,
    pub(crate) fails: AtomicBool,
}

impl WatchedStore {
    fn check(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::File(FileError::Write {
                path: "the store".into(),
                source: io::Error::other("no space"),
            })),
            false => Ok(()),
        }
    }
}

impl TrustStore for WatchedStore {
    ask!(inner: level is_empty is_armed passphrase tokens clients);

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        self.check()?;
        let outcome = self.inner.change(change, record)?;
        if let (Change::Enrol(enrolment), Outcome::Changed) = (change, outcome) {
            assert!(self.contains(&enrolment.certificate.fingerprint()), "said to be stored, and is not");
            self.log.lock().unwrap().push("stored");
        }
        Ok(outcome)
    }
}

/// Logs `opened`, or, while it is to fail, `not opened`.
#[derive(Debug)]
pub(crate) struct WatchedGate {
    log: Log,
    pub(crate) fails: AtomicBool,
}

impl Gate for WatchedGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        let fails = self.fails.load(Ordering::SeqCst);
        self.log.lock().unwrap().push(if fails { "not opened" } else { "opened" });
        if fails { Err(io::Error::other("chmod refused")) } else { Ok(()) }
    }
}

/// Logs the name of each entry; writes nothing while it is to fail.
#[derive(Debug)]
pub(crate) struct WatchedAudit {
    log: Log,
    pub(crate) fails: AtomicBool,
}

impl Audit for WatchedAudit {
    fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the audit log is full"));
        }
        self.log.lock().unwrap().push(entry.event.name());
        Ok(())
    }
}

/// What becomes of one guess, made and evaluated at once.
pub(crate) fn authenticate(
    authority: &Authority,
    caller: &Caller,
    text: &str,
) -> Result<Authenticated, Denied> {
    let guess = authority.begin_guess(caller, passphrase(text), Instant::now())?;
    authority.authenticate(guess, now())
}
