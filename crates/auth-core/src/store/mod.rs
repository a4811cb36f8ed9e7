//! What the service remembers of its clients.

pub(crate) mod file;
pub(crate) mod files;
#[cfg(feature = "testkit")]
pub(crate) mod memory;
mod note;
mod on_disk;
pub(crate) mod pem_file;
mod revoked;
mod state;
pub(crate) mod takeover;
mod tokens;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use durable::FileError;
use thiserror::Error;

use crate::{
    Actor, Channel, ClientCertificate, ClientName, Fingerprint, InvalidToken, Level, Moment, PassphraseHash,
    TakeOver, Token, TokenHash, TokenId,
};

/// The clients that may use the service, the passphrase and the tokens that let others in, and whether the
/// first client is still awaited.
///
/// Each change is atomic and checks its condition in the same step, against what is stored and not
/// what is remembered: two callers, or two processes, cannot both be first.
pub trait TrustStore: Debug + Send + Sync {
    /// How much a client may do; none if it is not trusted. Constant time, and never waits for a change in
    /// progress.
    fn level(&self, client: &Fingerprint) -> Option<Level>;

    /// Whether a client is trusted, at whatever level.
    fn contains(&self, client: &Fingerprint) -> bool {
        self.level(client).is_some()
    }

    /// Whether no client is trusted.
    fn is_empty(&self) -> bool;

    /// Whether the first client is awaited: nobody has ever been enrolled.
    fn is_armed(&self) -> bool;

    /// The hash of the passphrase, if one is set. Never waits for a change in progress.
    fn passphrase(&self) -> Option<PassphraseHash>;

    /// The token with this hash, if it was not redeemed or revoked; it may have expired. Never waits for a change in
    /// progress.
    ///
    /// # Errors
    /// There is none; and how it has ended, if that is still known.
    fn token(&self, hash: &TokenHash) -> Result<Token, InvalidToken>;

    /// The tokens that may be redeemed at a moment, in no order. Never waits for a change in progress.
    fn tokens(&self, at: Moment) -> Vec<Token>;

    /// The trusted clients, with what was written down of each, in no order. *Blocking*.
    ///
    /// # Errors
    /// The store could not be read.
    fn clients(&self) -> Result<Vec<TrustedClient>, StoreError>;

    /// Makes a change if its condition holds. `record` is called once that is known, and before anything
    /// is changed; if it fails, nothing is. Once this returns [`Outcome::Changed`] the change is stored
    /// for good. *Blocking*.
    ///
    /// # Errors
    /// The store could not be read or written, or `record` failed. What is remembered is what is on the
    /// disk.
    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError>;
}

/// A change to the store.
#[derive(Debug)]
pub enum Change<'a> {
    /// A client is trusted from now on, also one that was revoked; and at this level, whatever it was before.
    Enrol(Enrolment<'a>),
    /// A client is no longer trusted, also if its certificate is put back into the trust file. On the
    /// condition that it is trusted now.
    Revoke {
        /// The client.
        client: Fingerprint,
        /// Who wants it: a client for itself, or whoever is of the full level at that moment.
        by: Actor,
        /// The moment, for the record.
        at: SystemTime,
    },
    /// A client may do more, or less. On the condition that it is trusted now.
    SetLevel {
        /// The client.
        client: Fingerprint,
        /// How much it may do from now on.
        level: Level,
        /// Who wants it; a client must be of the full level itself at that moment.
        by: Actor,
        /// The moment, for the name of what is set aside.
        at: SystemTime,
    },
    /// A client is called something else. On the condition that it is trusted now.
    Rename {
        /// The client.
        client: Fingerprint,
        /// Its new name.
        name: &'a ClientName,
        /// Who wants it; a client must be of the full level itself at that moment.
        by: Actor,
        /// The moment, for the name of what is set aside.
        at: SystemTime,
    },
    /// The passphrase is another one, or there is none any more.
    SetPassphrase {
        /// The new one.
        passphrase: Option<PassphraseHash>,
        /// Who wants it; a client must be of the full level itself at that moment.
        by: Actor,
    },
    /// There is another token. On the condition that there are not too many, and that none is called the same.
    CreateToken {
        /// Of its secret.
        hash: TokenHash,
        /// The token; who made it must be of the full level itself at that moment.
        token: Token,
        /// The moment.
        at: Moment,
    },
    /// A token cannot be redeemed any more. On the condition that it is there.
    RevokeToken {
        /// The token.
        id: TokenId,
        /// Who wants it; a client must be of the full level itself at that moment.
        by: Actor,
        /// The moment.
        at: Moment,
    },
    /// The first client is awaited again. On the condition that no client is trusted.
    AwaitFirst,
    /// What a stock service has left is taken over.
    TakeOver(TakeOver<'a>),
}

impl Change<'_> {
    /// When it is made, if that matters to tokens.
    pub(crate) fn moment(&self) -> Option<Moment> {
        match self {
            Change::Enrol(Enrolment { condition: Condition::Token { at, .. }, .. })
            | Change::CreateToken { at, .. }
            | Change::RevokeToken { at, .. } => Some(*at),
            Change::Enrol(Enrolment { at, .. })
            | Change::Revoke { at, .. }
            | Change::SetLevel { at, .. }
            | Change::TakeOver(TakeOver::Clients { at, .. }) => Some(Moment::at(*at)),
            Change::Rename { .. }
            | Change::SetPassphrase { .. }
            | Change::AwaitFirst
            | Change::TakeOver(TakeOver::Passphrase(_) | TakeOver::Rehash { .. }) => None,
        }
    }
}

/// A client to be enrolled.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// What must hold at that moment.
    pub condition: Condition,
    /// Its certificate.
    pub certificate: &'a ClientCertificate,
    /// How much it may do.
    pub level: Level,
    /// Where the call came from, if it was a call.
    pub channel: Option<&'a Channel>,
    /// A name for people.
    pub name: Option<&'a ClientName>,
    /// The moment, for the record.
    pub at: SystemTime,
}

/// What must hold at the moment of an enrolment.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Nobody has ever been enrolled.
    FirstClient,
    /// The same, and whose client is the first is an installer's word.
    FirstByInstaller,
    /// The passphrase that the client gave is still the one that is set.
    PassphraseIs(PassphraseHash),
    /// Whoever wants it is an administrator; a client must be of the full level itself at that moment. And the
    /// client is not trusted at another level: that is changed by [`Change::SetLevel`] alone.
    WantedBy(Actor),
    /// The token that the client gave is there, as it was then; it has not expired by this moment, and who made it
    /// may still do so. And the client may do less than it gives. The token is spent by it.
    Token {
        /// Of its secret.
        hash: TokenHash,
        /// What was known of it.
        token: Token,
        /// The moment.
        at: Moment,
    },
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, by this call or an earlier one.
    Changed,
    /// The condition did not hold; nothing has changed.
    ConditionFailed,
}

/// A client, and what was written down when it was enrolled. Of one that was put into the trust file by
/// hand, that is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedClient {
    /// Which client.
    pub fingerprint: Fingerprint,
    /// How much it may do.
    pub level: Level,
    /// A name for people.
    pub name: Option<String>,
    /// When, as RFC 3339 in UTC.
    pub added: Option<String>,
    /// `first-client`, `installer`, `passphrase`, `token`, `added` or `migrated`.
    pub how: Option<String>,
    /// Where the call came from, as [`Channel`] is displayed.
    pub from: Option<String>,
}

impl TrustedClient {
    pub(crate) fn unknown(fingerprint: Fingerprint, level: Level) -> Self {
        Self { fingerprint, level, name: None, added: None, how: None, from: None }
    }
}

/// Why the store could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was to be done could not be written into the audit log, so it was not done.
    #[error("cannot write the audit log, so nothing was changed")]
    NotRecorded(#[source] io::Error),
    /// Whatever was to be done was overtaken by others, again and again.
    #[error("others keep changing who is trusted; nothing was changed here, so try again")]
    KeepsChanging,
    /// The file of revoked clients holds something else.
    #[error(
        "line {line} of {path} is not a revoked client's fingerprint and time; remove the line, or fix it"
    )]
    NotRevoked {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
    /// The passphrase file holds something else.
    #[error(
        "{path} does not hold a passphrase hash; remove the file, then set a passphrase again with 'multipass set local.passphrase'"
    )]
    NotAPassphraseHash {
        /// The file.
        path: PathBuf,
    },
}
