//! Who may say who is trusted, and what they may say.

use std::io;
use std::time::SystemTime;

use thiserror::Error;

use crate::authority::EnrolError;
use crate::{
    Actor, Authenticated, Authority, Caller, Change, Channel, ClientCertificate, ClientName, Condition,
    Denied, Enrolment, Fingerprint, HashError, Outcome, Passphrase, PassphraseHash, StoreError,
    TrustedClient,
};

/// Proof that the caller may say who is trusted: as a trusted client, or as root on this machine.
#[derive(Clone, Debug)]
pub struct Administrator {
    actor: Actor,
    channel: Channel,
}

impl Administrator {
    /// Who it is.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }
}

/// A trusted client is as good as root.
impl From<Authenticated> for Administrator {
    fn from(Authenticated { client, channel }: Authenticated) -> Self {
        Self { actor: Actor::Client(client), channel }
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
    /// No such client is trusted.
    #[error("no such client is trusted")]
    NotTrusted,
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
    /// Whether the caller may say who is trusted: a trusted client, or root over the Unix socket, which is
    /// the way back from every lockout and the only thing that a uid alone opens. Never blocks.
    ///
    /// # Errors
    /// It may not, for the reason given.
    pub fn administrator(&self, caller: &Caller) -> Result<Administrator, Denied> {
        match (self.recognise(caller), &caller.channel) {
            (Ok(client), _) => Ok(client.into()),
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
            Outcome::ConditionFailed => Err(ChangeError::NoLongerTrusted),
        }
    }

    /// The trusted clients. *Blocking*.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn clients(&self, _by: &Administrator) -> Result<Vec<TrustedClient>, StoreError> {
        self.store.clients()
    }

    /// Trusts a client, also one that was revoked. *Blocking*.
    ///
    /// # Errors
    /// It could not be stored, or the gate not be opened.
    pub fn add(
        &self,
        by: &Administrator,
        certificate: &ClientCertificate,
        name: Option<&ClientName>,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        let (condition, channel) = (Condition::WantedBy(by.actor), Some(&by.channel));
        let enrolment = Enrolment { condition, certificate, channel, name, at: now };
        match self.enrol(enrolment, by.actor)? {
            true => Ok(()),
            false => Err(ChangeError::NoLongerTrusted),
        }
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
        let change = Change::Revoke { client, by: by.actor, at: now };
        match (self.commit(&change, by.actor, Some(&by.channel), now)?, by.actor) {
            (Outcome::Changed, _) => Ok(()),
            (Outcome::ConditionFailed, Actor::Client(asks)) if !self.store.contains(&asks) => {
                Err(ChangeError::NoLongerTrusted)
            }
            (Outcome::ConditionFailed, _) => Err(ChangeError::NotTrusted),
        }
    }
}
