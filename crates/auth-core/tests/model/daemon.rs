//! A daemon's side of a step: the real authority over a store that remembers what it last read of the disk.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Instant, SystemTime};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use auth_core::testkit::{MemoryStore, NoGate};
use auth_core::{
    Actor, Administrator, Admission, Audit, Authority, Caller, Change, Channel, ClientCertificate, Condition,
    Enrolled, Enrolment, Entry, Fingerprint, FirstClientClaim, FirstClientRule, Gate, Guess, InvalidToken,
    Level, Moment, Outcome, Passphrase, PassphraseHash, StoreError, Token, TokenHash, TrustStore,
    TrustedClient,
};

use crate::tokens;
use crate::wishes::Asker;
use crate::world::{CLIENTS, Client, Clients, Disk, Flaw, Words};

const ADMINS: u32 = 27;

static CERTIFICATES: LazyLock<Vec<ClientCertificate>> = LazyLock::new(|| {
    let generate = |_| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![]).unwrap();
        ClientCertificate::from_der(params.self_signed(&key).unwrap().der().to_vec()).unwrap()
    };
    CLIENTS.map(generate).to_vec()
});

/// As cheap as Argon2id can be: the model hashes a hundred thousand times.
static HASHES: LazyLock<[PassphraseHash; 2]> = LazyLock::new(|| {
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    ["right", "other"].map(|words| {
        let hash = cheap.hash_password_with_salt(words.as_bytes(), b"the same salt").unwrap();
        PassphraseHash::from_phc(&hash.to_string()).unwrap()
    })
});

static CLAIMS: LazyLock<Vec<Option<FirstClientClaim>>> = LazyLock::new(|| {
    let daemon = authority(Arc::new(MemoryStore::new()), Box::new(NoGate), Arc::default());
    let claim = |client| match daemon.admit(&caller(client)) {
        Ok(Admission::FirstClient(claim)) => Some(claim),
        _ => None,
    };
    CLIENTS.map(claim).into()
});

/// Proofs that some daemon has once given to root, and to each client.
static ADMINISTRATORS: LazyLock<Vec<Administrator>> = LazyLock::new(|| {
    let disk = Disk { trusted: CLIENTS.into_iter().collect(), ..Disk::default() };
    let daemon = authority(Arc::new(disk.load()), Box::new(NoGate), Arc::default());
    let callers = CLIENTS.into_iter().map(caller).chain([root()]);
    callers.map(|caller| daemon.administrator(&caller).expect("it may")).collect()
});

pub(crate) fn administrator(asker: Asker) -> &'static Administrator {
    match asker {
        Asker::Client(client) => &ADMINISTRATORS[client],
        Asker::Root => &ADMINISTRATORS[CLIENTS.len()],
    }
}

pub(crate) fn certificate(client: Client) -> &'static ClientCertificate {
    &CERTIFICATES[client]
}

pub(crate) fn fingerprint(client: Client) -> Fingerprint {
    CERTIFICATES[client].fingerprint()
}

/// Two administrators' clients, and one of a user who is none.
pub(crate) fn caller(client: Client) -> Caller {
    let groups = if is_entitled(client) { [ADMINS].into() } else { [].into() };
    let uid = 1000 + u32::try_from(client).unwrap();
    let channel = Channel::Local { uid, gid: uid, groups };
    Caller { channel, certificate: Some(CERTIFICATES[client].clone()) }
}

pub(crate) fn is_entitled(client: Client) -> bool {
    client < 2
}

/// A claim that some daemon has once let a client make.
pub(crate) fn claim(client: Client) -> Option<&'static FirstClientClaim> {
    CLAIMS[client].as_ref()
}

/// A guess with the right words, begun while they were the passphrase.
pub(crate) fn guess(client: Client) -> Guess {
    let store = Disk { passphrase: Some(Words::Right), ..Disk::default() }.load();
    let daemon = authority(Arc::new(store), Box::new(NoGate), Arc::default());
    let right = Passphrase::new("right".to_owned().into()).unwrap();
    daemon.begin_guess(&caller(client), right, Instant::now()).expect("a first guess")
}

pub(crate) fn hash_of(words: Words) -> PassphraseHash {
    HASHES[words as usize].clone()
}

/// Root, without a certificate.
pub(crate) fn root() -> Caller {
    Caller { channel: Channel::Local { uid: 0, gid: 0, groups: [].into() }, certificate: None }
}

pub(crate) fn authority(store: Arc<dyn TrustStore>, gate: Box<dyn Gate>, audit: Arc<Records>) -> Authority {
    let rule = FirstClientRule { daemon_uid: 0, admin_gid: Some(ADMINS) };
    Authority::new(store, gate, rule, audit)
}

impl Disk {
    /// A store in this state, made by real changes.
    pub(crate) fn load(self) -> MemoryStore {
        let store = MemoryStore::new();
        let make = |change| {
            assert_eq!(store.change(&change, &mut || Ok(())).unwrap(), Outcome::Changed);
        };
        let enrol = |client: Client| {
            let (condition, certificate) = (Condition::WantedBy(Actor::Administrator), &CERTIFICATES[client]);
            let (at, level) = (SystemTime::UNIX_EPOCH, self.level(client));
            Change::Enrol(Enrolment { condition, certificate, level, channel: None, name: None, at })
        };
        if !self.armed && self.trusted.is_empty() {
            make(enrol(0));
            make(Change::Revoke {
                client: fingerprint(0),
                by: Actor::Administrator,
                at: SystemTime::UNIX_EPOCH,
            });
        }
        self.trusted.iter().for_each(|client| make(enrol(client)));
        if let Some(words) = self.passphrase {
            make(Change::SetPassphrase { passphrase: Some(hash_of(words)), by: Actor::Administrator });
        }
        if let Some(maker) = self.token {
            make(tokens::made(maker));
        }
        assert_eq!(Self::of(&store), self);
        store
    }

    fn level(self, client: Client) -> Level {
        if self.read_only.has(client) { Level::ReadOnly } else { Level::Full }
    }

    /// The state of a store.
    pub(crate) fn of(store: &dyn TrustStore) -> Self {
        let level = |client: &Client| store.level(&fingerprint(*client));
        let trusted = CLIENTS.into_iter().filter(|client| level(client).is_some()).collect();
        let read_only = CLIENTS.into_iter().filter(|client| level(client) == Some(Level::ReadOnly)).collect();
        let words = |hash| if hash == hash_of(Words::Right) { Words::Right } else { Words::Other };
        let (armed, passphrase) = (store.is_armed(), store.passphrase().map(words));
        Self { trusted, read_only, armed, passphrase, token: tokens::maker(store) }
    }
}

/// Where a daemon may die within a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Death {
    AfterRecord,
    AfterWrite,
}

/// What unwinds a daemon that dies.
pub(crate) struct Dead;

/// A store as a daemon has it: changes go to the disk, questions are answered from what was last read.
#[derive(Debug)]
pub(crate) struct Remembering {
    pub(crate) disk: Arc<MemoryStore>,
    pub(crate) known: Mutex<Disk>,
    pub(crate) death: Option<Death>,
    pub(crate) flaw: Flaw,
}

impl Remembering {
    fn die_if(&self, moment: Death) {
        if self.death == Some(moment) {
            resume_unwind(Box::new(Dead));
        }
    }

    fn known(&self) -> Disk {
        *self.known.lock().unwrap()
    }

    /// What a store makes of a change that has the flaw: the condition is one that always holds.
    fn flawed<'a>(&self, change: &Change<'a>) -> Option<Change<'a>> {
        let by = Actor::Administrator;
        match (self.flaw, change) {
            (Flaw::CheckThenAdd, Change::Enrol(enrolment))
                if matches!(enrolment.condition, Condition::FirstClient) =>
            {
                Some(Change::Enrol(Enrolment { condition: Condition::WantedBy(by), ..*enrolment }))
            }
            (Flaw::TokenStays, Change::Enrol(enrolment))
                if matches!(enrolment.condition, Condition::Token { .. }) =>
            {
                Some(Change::Enrol(Enrolment { condition: Condition::WantedBy(by), ..*enrolment }))
            }
            (Flaw::AskedIsEnough, Change::Enrol(enrolment))
                if matches!(enrolment.condition, Condition::WantedBy(_)) =>
            {
                Some(Change::Enrol(Enrolment { condition: Condition::WantedBy(by), ..*enrolment }))
            }
            (Flaw::AskedIsEnough, Change::Revoke { client, at, .. }) => {
                Some(Change::Revoke { client: *client, by, at: *at })
            }
            (Flaw::AskedIsEnough, Change::SetLevel { client, level, at, .. }) => {
                Some(Change::SetLevel { client: *client, level: *level, by, at: *at })
            }
            (Flaw::AskedIsEnough, Change::SetPassphrase { passphrase, .. }) => {
                Some(Change::SetPassphrase { passphrase: passphrase.clone(), by })
            }
            _ => None,
        }
    }
}

impl TrustStore for Remembering {
    fn level(&self, client: &Fingerprint) -> Option<Level> {
        let known = self.known();
        known.trusted.iter().find(|it| fingerprint(*it) == *client).map(|it| known.level(it))
    }

    fn is_empty(&self) -> bool {
        self.known().trusted.is_empty()
    }

    fn is_armed(&self) -> bool {
        self.known().armed
    }

    fn passphrase(&self) -> Option<PassphraseHash> {
        self.known().passphrase.map(hash_of)
    }

    fn token(&self, _hash: &TokenHash) -> Result<Token, InvalidToken> {
        self.known().token.map(tokens::of).ok_or(InvalidToken::Unknown)
    }

    fn tokens(&self, _at: Moment) -> Vec<Token> {
        self.known().token.map(tokens::of).into_iter().collect()
    }

    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError> {
        self.disk.clients()
    }

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        let flawed = self.flawed(change);
        let outcome = self.disk.change(flawed.as_ref().unwrap_or(change), &mut || {
            record()?;
            self.die_if(Death::AfterRecord);
            Ok(())
        });
        self.die_if(Death::AfterWrite);
        *self.known.lock().unwrap() = Disk::of(&*self.disk);
        outcome
    }
}

/// A socket that is open to everyone, or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket(pub(crate) Arc<AtomicBool>);

impl Gate for Socket {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// Whose grants are on record.
#[derive(Debug, Default)]
pub(crate) struct Records(pub(crate) Mutex<Clients>);

impl Audit for Records {
    fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        let client = CLIENTS.into_iter().find(|client| Some(fingerprint(*client)) == entry.client);
        self.0.lock().unwrap().extend(client);
        Ok(())
    }
}
