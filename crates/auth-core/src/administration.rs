//! Who may say who is trusted, and what they may say.

use std::io;
use std::time::SystemTime;

use thiserror::Error;

use crate::authority::EnrolError;
use crate::{
    Actor, Authenticated, Authority, Caller, Change, Channel, ClientCertificate, ClientName, Condition,
    Denied, Enrolment, Fingerprint, HashError, Level, Outcome, Passphrase, PassphraseHash, StoreError,
    TrustedClient,
};

/// Proof that the caller may say who is trusted: as a client of the full level, or as root on this machine.
#[derive(Clone, Debug)]
pub struct Administrator {
    pub(crate) actor: Actor,
    pub(crate) channel: Channel,
}

impl Administrator {
    /// Who it is.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }
}

impl Authenticated {
    /// A client of the full level is as good as root.
    ///
    /// # Errors
    /// Its level is a lower one.
    pub fn administrator(&self) -> Result<Administrator, Denied> {
        self.require(Level::Full)?;
        Ok(Administrator { actor: Actor::Client(self.client), channel: self.channel.clone() })
    }
}

/// Why a change was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The passphrase could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The change could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client is stored, but the socket could not be opened to the other users.
    #[error("the client was enrolled, but the socket could not be opened to other users")]
    Gate(#[source] io::Error),
    /// The client who wants the change was trusted when it asked, and is not any more.
    #[error("the client who asks is no longer trusted")]
    NoLongerTrusted,
    /// The client who wants the change was of the full level when it asked, and is read-only now.
    #[error("the client who asks is read-only now")]
    ReadOnlyByNow,
    /// No such client is trusted.
    #[error("no such client is trusted")]
    NotTrusted,
    /// The client that was to be added is trusted already, at another level. Adding changes no level.
    #[error("the client is trusted already, at the level {0}")]
    AtOtherLevel(Level),
    /// There are as many tokens as there may be.
    #[error("there are too many tokens that were not redeemed")]
    TooManyTokens,
    /// There is no such token.
    #[error("there is no such token")]
    NoSuchToken,
    /// The system gave no randomness for a token's secret.
    #[error("the system has no random numbers to give")]
    NoRandomness(#[source] io::Error),
}

/// What adding a client has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// The client is trusted from now on.
    New,
    /// It was trusted before. Its name, if it has one, is what it was.
    Known(Option<String>),
}

impl From<EnrolError> for ChangeError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Store(error) => Self::Store(error),
            EnrolError::Gate(error) => Self::Gate(error),
        }
    }
}

impl Authority {
    /// Whether the caller may say who is trusted: a client of the full level, or root over the Unix socket,
    /// which is the way back from every lockout and the only thing that a uid alone opens. Never blocks.
    ///
    /// # Errors
    /// It may not, for the reason given.
    pub fn administrator(&self, caller: &Caller) -> Result<Administrator, Denied> {
        match (self.recognise(caller).and_then(|client| client.administrator()), &caller.channel) {
            (Ok(administrator), _) => Ok(administrator),
            (Err(_), channel @ Channel::Local { uid: 0, .. }) => {
                Ok(Administrator { actor: Actor::Administrator, channel: channel.clone() })
            }
            (Err(denied), _) => Err(denied),
        }
    }

    /// Sets the passphrase, or unsets it. *Blocking*: it hashes.
    ///
    /// # Errors
    /// It could not be hashed or stored; the old one is still in force.
    pub fn set_passphrase(
        &self,
        by: &Administrator,
        passphrase: Option<&Passphrase>,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        let hash = passphrase.map(PassphraseHash::of).transpose()?;
        let change = Change::SetPassphrase { passphrase: hash, by: by.actor };
        match self.commit(&change, by.actor, Some(&by.channel), now)? {
            Outcome::Changed => Ok(()),
            Outcome::ConditionFailed => Err(self.no_longer(by).unwrap_or(ChangeError::NoLongerTrusted)),
        }
    }

    /// Why whoever was an administrator is none by now; none if it is one still.
    pub(crate) fn no_longer(&self, by: &Administrator) -> Option<ChangeError> {
        let Actor::Client(client) = by.actor else { return None };
        match self.store.level(&client) {
            Some(Level::Full) => None,
            Some(Level::ReadOnly) => Some(ChangeError::ReadOnlyByNow),
            None => Some(ChangeError::NoLongerTrusted),
        }
    }

    /// The trusted clients. *Blocking*.
    ///
    /// # Errors
    /// Whoever asks is no administrator any more, or the store could not be read.
    pub fn clients(&self, by: &Administrator) -> Result<Vec<TrustedClient>, ChangeError> {
        match self.no_longer(by) {
            Some(why) => Err(why),
            None => Ok(self.store.clients()?),
        }
    }

    /// Whether a passphrase is set, as [`Self::passphrase_is_set`] tells those who are admitted. Never blocks.
    ///
    /// # Errors
    /// Whoever asks is no administrator any more.
    pub fn has_passphrase(&self, by: &Administrator) -> Result<bool, ChangeError> {
        match self.no_longer(by) {
            Some(why) => Err(why),
            None => Ok(self.passphrase_is_set()),
        }
    }

    /// Trusts a client, also one that was revoked. One that is trusted keeps its name. *Blocking*.
    ///
    /// # Errors
    /// It is trusted at another level, could not be stored, or the gate not be opened.
    pub fn add(
        &self,
        by: &Administrator,
        certificate: &ClientCertificate,
        level: Level,
        name: Option<&ClientName>,
        now: SystemTime,
    ) -> Result<Added, ChangeError> {
        let client = certificate.fingerprint();
        // Only what is told depends on it: whoever is added or revoked meanwhile was so a moment later.
        let was_trusted = self.store.contains(&client);
        let (condition, channel) = (Condition::WantedBy(by.actor), Some(&by.channel));
        let enrolment = Enrolment { condition, certificate, level, channel, name, at: now };
        if self.enrol(enrolment, by.actor)? {
            return Ok(if was_trusted { Added::Known(self.name_of(&client)) } else { Added::New });
        }
        let at_other_level = || self.store.level(&client).map(ChangeError::AtOtherLevel);
        Err(self.no_longer(by).or_else(at_other_level).unwrap_or(ChangeError::NoLongerTrusted))
    }

    /// What a client is called, as far as that can be read.
    fn name_of(&self, client: &Fingerprint) -> Option<String> {
        let clients = self.store.clients().unwrap_or_default();
        clients.into_iter().find(|known| known.fingerprint == *client)?.name
    }

    /// Has a trusted client do more, or less. *Blocking*.
    ///
    /// # Errors
    /// It is not trusted, or the change could not be stored.
    pub fn set_level(
        &self,
        by: &Administrator,
        client: Fingerprint,
        level: Level,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        self.change_client(by, &Change::SetLevel { client, level, by: by.actor, at: now }, now)
    }

    /// Calls a trusted client something else. *Blocking*.
    ///
    /// # Errors
    /// It is not trusted, or the change could not be stored.
    pub fn rename(
        &self,
        by: &Administrator,
        client: Fingerprint,
        name: &ClientName,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        self.change_client(by, &Change::Rename { client, name, by: by.actor, at: now }, now)
    }

    /// Ends the trust in a client. *Blocking*.
    ///
    /// # Errors
    /// It is not trusted, or the change could not be stored.
    pub fn revoke(
        &self,
        by: &Administrator,
        client: Fingerprint,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        self.change_client(by, &Change::Revoke { client, by: by.actor, at: now }, now)
    }

    /// A client, of whatever level, gives up the trust in it. *Blocking*.
    ///
    /// # Errors
    /// It is not trusted any more, or the change could not be stored.
    pub fn leave(&self, client: &Authenticated, now: SystemTime) -> Result<(), ChangeError> {
        let by = Actor::Client(client.client);
        let change = Change::Revoke { client: client.client, by, at: now };
        match self.commit(&change, by, Some(&client.channel), now)? {
            Outcome::Changed => Ok(()),
            Outcome::ConditionFailed => Err(ChangeError::NoLongerTrusted),
        }
    }

    /// Makes a change to one trusted client.
    fn change_client(
        &self,
        by: &Administrator,
        change: &Change<'_>,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        match self.commit(change, by.actor, Some(&by.channel), now)? {
            Outcome::Changed => Ok(()),
            Outcome::ConditionFailed => Err(self.no_longer(by).unwrap_or(ChangeError::NotTrusted)),
        }
    }
}
