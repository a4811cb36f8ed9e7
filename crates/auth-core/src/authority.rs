//! The decisions, each one linear story.
//!
//! [`Authority::admit`] is asked on every call and is never blocking. What must write or hash has a
//! method of its own, for the caller to run where blocking is fine.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use crate::commit::commit;
use crate::guessing::{Attempt, GuessLimiter};
use crate::{
    Actor, Audit, Caller, Change, Channel, ClientCertificate, Condition, Enrolment, Fingerprint,
    FirstClientRule, InvalidToken, Level, Outcome, Passphrase, PassphraseHash, StoreError, TrustStore,
};

/// Judges callers over one trust store.
#[derive(Debug)]
pub struct Authority {
    pub(crate) store: Arc<dyn TrustStore>,
    gate: Box<dyn Gate>,
    first_client: FirstClientRule,
    guessing: GuessLimiter,
    audit: Arc<dyn Audit>,
}

/// What keeps strangers away before the first client is enrolled, and is opened after.
pub trait Gate: Debug + Send + Sync {
    /// Lets everyone reach the service, who must then authenticate. Opening twice is fine. *Blocking*.
    ///
    /// # Errors
    /// The system refused.
    fn open(&self, because: &Enrolled) -> io::Result<()>;
}

/// Proof that a client was stored for good. Only an enrolment makes one, and only with one does a
/// [`Gate`] open: the order is stored, opened, answered.
#[derive(Debug)]
pub struct Enrolled(Fingerprint);

/// Proof that the caller is a trusted client.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(crate) client: Fingerprint,
    pub(crate) level: Level,
    pub(crate) channel: Channel,
}

impl Authenticated {
    /// Which client it is.
    #[must_use]
    pub fn client(&self) -> Fingerprint {
        self.client
    }

    /// How much it may do.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether it may do what needs a level.
    ///
    /// # Errors
    /// Its own is lower.
    pub fn require(&self, needed: Level) -> Result<(), Denied> {
        if self.level < needed { Err(Denied::ReadOnly) } else { Ok(()) }
    }

    /// How it has reached the service.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }
}

/// How a call may proceed.
#[derive(Debug)]
pub enum Admission {
    /// The caller is a trusted client.
    Granted(Authenticated),
    /// The caller may become the first client: see [`Authority::enrol_first`].
    FirstClient(FirstClientClaim),
}

/// An entitled caller's claim to be the first client. Others may hold one too; the store decides.
#[derive(Debug)]
pub struct FirstClientClaim {
    certificate: ClientCertificate,
    channel: Channel,
}

/// Why a caller was not let in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Denied {
    /// It presented no certificate.
    #[error("the client presented no certificate")]
    NoCertificate,
    /// Its certificate is not among the trusted ones.
    #[error("the client's certificate is not trusted")]
    NotTrusted,
    /// It is a trusted client, and may only read.
    #[error("the client may only read")]
    ReadOnly,
    /// The first client is awaited, and this caller is not entitled to be it.
    #[error("the caller may not be the first client")]
    NotEntitledToBeFirst,
    /// Another caller became the first client a moment before.
    #[error("another client was enrolled first")]
    NotFirst,
    /// It gave a passphrase where none is set.
    #[error("no passphrase is set")]
    NoPassphraseSet,
    /// Too many passphrases were wrong: from this source, or from everywhere. This one was not looked
    /// at, and does not count.
    #[error("too many failed attempts; try again in {seconds} s")]
    TooManyGuesses {
        /// How long to wait, in whole seconds, never too short.
        seconds: u64,
    },
    /// It gave another passphrase than the one set.
    #[error("the passphrase is not correct")]
    WrongPassphrase,
    /// It gave a token that is none, or none any more.
    #[error(transparent)]
    TokenNotValid(InvalidToken),
    /// It gave a token, and may do as much as that gives already. The token is still there.
    #[error("the client is trusted already, at the level {0}")]
    TrustedAlready(Level),
    /// The store could not be used; nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client is stored, but the socket could not be opened to the other users.
    #[error("the client was enrolled, but the socket could not be opened to other users")]
    Gate(#[source] io::Error),
}

/// Why an enrolment went wrong.
pub(crate) enum EnrolError {
    Store(StoreError),
    Gate(io::Error),
}

impl From<EnrolError> for Denied {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Store(error) => Self::Store(error),
            EnrolError::Gate(error) => Self::Gate(error),
        }
    }
}

impl Denied {
    /// The reason's name in records, in snake case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::NotTrusted => "not_trusted",
            Self::ReadOnly => "read_only",
            Self::NotEntitledToBeFirst => "not_entitled_to_be_first",
            Self::NotFirst => "not_first",
            Self::NoPassphraseSet => "no_passphrase_set",
            Self::TooManyGuesses { .. } => "too_many_guesses",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::TokenNotValid(how) => how.name(),
            Self::TrustedAlready(_) => "trusted_already",
            Self::Store(_) => "store",
            Self::Gate(_) => "gate",
        }
    }

    fn too_soon(wait: Duration) -> Self {
        Self::TooManyGuesses { seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) }
    }
}

/// A passphrase that somebody gave, which may be evaluated and is counted already.
#[derive(Debug)]
pub struct Guess {
    certificate: ClientCertificate,
    channel: Channel,
    passphrase: Passphrase,
    hash: PassphraseHash,
    /// None for a client of the full level, which has nothing to guess for and is not slowed down.
    attempt: Option<Attempt>,
}

impl Guess {
    /// Whether a client of the full level gave it, which need not guess and is not slowed down.
    #[must_use]
    pub fn is_a_full_clients(&self) -> bool {
        self.attempt.is_none()
    }
}

impl Authority {
    /// A judge over `store`, who opens `gate` with the first enrolment and writes grants and changes into
    /// `audit`.
    #[must_use]
    pub fn new(
        store: Arc<dyn TrustStore>,
        gate: Box<dyn Gate>,
        first_client: FirstClientRule,
        audit: Arc<dyn Audit>,
    ) -> Self {
        Self { store, gate, first_client, guessing: GuessLimiter::default(), audit }
    }

    /// Whether the caller is a trusted client. Never enrols anyone, never blocks.
    ///
    /// # Errors
    /// It is not, for the reason given.
    pub fn recognise(&self, caller: &Caller) -> Result<Authenticated, Denied> {
        let client = caller.certificate.as_ref().ok_or(Denied::NoCertificate)?.fingerprint();
        let level = self.store.level(&client).ok_or(Denied::NotTrusted)?;
        Ok(Authenticated { client, level, channel: caller.channel.clone() })
    }

    /// Whether a client that was admitted may still do as much. Never blocks.
    ///
    /// # Errors
    /// It is trusted no more, or its level is lower by now.
    pub fn still_admits(&self, admitted: &Authenticated) -> Result<(), Denied> {
        match self.store.level(&admitted.client) {
            None => Err(Denied::NotTrusted),
            Some(level) if level < admitted.level => Err(Denied::ReadOnly),
            Some(_) => Ok(()),
        }
    }

    /// Whether the caller may proceed: as a trusted client, or because the first client is awaited and
    /// the caller is entitled to be it. Never blocks; its cost does not depend on how many clients
    /// there are.
    ///
    /// # Errors
    /// It may not, for the reason given.
    pub fn admit(&self, caller: &Caller) -> Result<Admission, Denied> {
        let denied = match self.recognise(caller) {
            Ok(authenticated) => return Ok(Admission::Granted(authenticated)),
            Err(denied) => denied,
        };
        let Some(certificate) = &caller.certificate else { return Err(denied) };
        if !self.store.is_armed() {
            return Err(denied);
        }
        if !self.first_client.entitles(&caller.channel) {
            return Err(Denied::NotEntitledToBeFirst);
        }
        let (certificate, channel) = (certificate.clone(), caller.channel.clone());
        Ok(Admission::FirstClient(FirstClientClaim { certificate, channel }))
    }

    /// Enrols the first client: of all claims, one. *Blocking*.
    ///
    /// # Errors
    /// Another was first, or the enrolment could not be stored.
    pub fn enrol_first(&self, claim: &FirstClientClaim, now: SystemTime) -> Result<Authenticated, Denied> {
        let FirstClientClaim { certificate, channel } = claim;
        let client = certificate.fingerprint();
        match self.let_in(Condition::FirstClient, certificate, channel, now)? {
            Some(authenticated) => Ok(authenticated),
            // The same client may have claimed on two connections.
            None => {
                let level = self.store.level(&client).ok_or(Denied::NotFirst)?;
                // Or at two daemons: then this one's gate is still shut.
                self.gate.open(&Enrolled(client)).map_err(Denied::Gate)?;
                Ok(Authenticated { client, level, channel: channel.clone() })
            }
        }
    }

    /// Counts an attempt to be let in by the passphrase, before it is evaluated: who leaves without
    /// waiting for the answer has been counted. Never blocks.
    ///
    /// # Errors
    /// The caller has no certificate, no passphrase is set, or there were too many attempts.
    pub fn begin_guess(
        &self,
        caller: &Caller,
        passphrase: Passphrase,
        now: Instant,
    ) -> Result<Guess, Denied> {
        let certificate = caller.certificate.clone().ok_or(Denied::NoCertificate)?;
        let hash = self.store.passphrase().ok_or(Denied::NoPassphraseSet)?;
        let client = certificate.fingerprint();
        let attempt = match self.store.level(&client) {
            Some(Level::Full) => None,
            // A limited client would gain something, as a stranger would.
            Some(Level::ReadOnly) | None => {
                Some(self.guessing.begin(&caller.channel, client, now).map_err(Denied::too_soon)?)
            }
        };
        Ok(Guess { certificate, channel: caller.channel.clone(), passphrase, hash, attempt })
    }

    /// Lets a caller in whose guess is right, at the full level: whoever knows the passphrase may do everything.
    /// *Blocking*: it hashes.
    ///
    /// # Errors
    /// This is not the passphrase, or the client could not be stored.
    pub fn authenticate(&self, guess: Guess, now: SystemTime) -> Result<Authenticated, Denied> {
        let Guess { certificate, channel, passphrase, hash, attempt } = guess;
        if !hash.matches(&passphrase) {
            return Err(Denied::WrongPassphrase);
        }
        if let Some(attempt) = &attempt {
            self.guessing.forgive(attempt);
        }
        let condition = |hash: &PassphraseHash| Condition::PassphraseIs(hash.clone());
        if let Some(client) = self.let_in(condition(&hash), &certificate, &channel, now)? {
            self.replace_stock_hash(&hash, &passphrase, &client, now);
            return Ok(client);
        }
        // Somebody else may just have had the stock service's hash replaced by one of the same passphrase.
        let current = self.store.passphrase().filter(|_| hash.is_stocks());
        if let Some(own) = current.filter(|current| !current.is_stocks() && current.matches(&passphrase))
            && let Some(client) = self.let_in(condition(&own), &certificate, &channel, now)?
        {
            return Ok(client);
        }
        // The passphrase was changed while this one was hashed: it is the wrong one.
        Err(Denied::WrongPassphrase)
    }

    /// Enrols a caller by its own doing; `None` if the condition did not hold.
    fn let_in(
        &self,
        condition: Condition,
        certificate: &ClientCertificate,
        channel: &Channel,
        now: SystemTime,
    ) -> Result<Option<Authenticated>, Denied> {
        let (client, level) = (certificate.fingerprint(), Level::Full);
        let enrolment =
            Enrolment { condition, certificate, level, channel: Some(channel), name: None, at: now };
        let enrolled = self.enrol(enrolment, Actor::Client(client))?;
        Ok(enrolled.then(|| Authenticated { client, level, channel: channel.clone() }))
    }

    /// Stored, then the gate opened; false if the condition did not hold.
    pub(crate) fn enrol(&self, enrolment: Enrolment<'_>, by: Actor) -> Result<bool, EnrolError> {
        let enrolled = Enrolled(enrolment.certificate.fingerprint());
        let (from, at) = (enrolment.channel, enrolment.at);
        match self.commit(&Change::Enrol(enrolment), by, from, at) {
            Ok(Outcome::Changed) => {
                self.gate.open(&enrolled).map_err(EnrolError::Gate)?;
                Ok(true)
            }
            Ok(Outcome::ConditionFailed) => Ok(false),
            Err(error) => {
                // It failed at the very end if the client is there all the same: the next call will be let
                // in, so the gate must not stay shut.
                if self.store.contains(&enrolled.0) {
                    self.gate.open(&enrolled).map_err(EnrolError::Gate)?;
                }
                Err(EnrolError::Store(error))
            }
        }
    }

    /// Makes a change, recorded before it is made.
    pub(crate) fn commit(
        &self,
        change: &Change<'_>,
        by: Actor,
        from: Option<&Channel>,
        at: SystemTime,
    ) -> Result<Outcome, StoreError> {
        commit(&*self.store, &*self.audit, change, by, from, at)
    }

    /// Whether a passphrase is set.
    #[must_use]
    pub fn passphrase_is_set(&self) -> bool {
        self.store.passphrase().is_some()
    }
}
