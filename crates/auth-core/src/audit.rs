//! What is written down of grants and changes, so that it can be told later who let whom in.

use std::fmt::{self, Debug};
use std::io;
use std::time::SystemTime;

use crate::{Channel, Fingerprint, TokenId};

/// Keeps a record of grants and changes. Refusals are not told to it: strangers cause as many as they
/// like, and nothing depends on their being kept.
pub trait Audit: Debug + Send + Sync {
    /// Writes down what is about to be done: once it returns, the record survives a power cut. What could
    /// not be written down is not done. *Blocking*.
    ///
    /// # Errors
    /// It could not be written.
    fn record(&self, entry: &Entry<'_>) -> io::Result<()>;
}

/// One grant or change.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The moment of the decision.
    pub at: SystemTime,
    /// What is done.
    pub event: Event,
    /// Who does it; for who is let in, that is the client itself.
    pub by: Actor,
    /// Where the call came from; `None` if it was no call.
    pub from: Option<&'a Channel>,
    /// The client that it is about, if it is about one.
    pub client: Option<Fingerprint>,
    /// The token that it is about, if it is about one.
    pub token: Option<TokenId>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first client is enrolled.
    FirstClientEnrolled,
    /// The client of the user who installs the service is enrolled as the first one.
    InstallerEnrolled,
    /// A client is enrolled because it knew the passphrase.
    PassphraseAccepted,
    /// A client is added by an administrator.
    ClientAdded,
    /// A client that may only read is added by an administrator.
    ReadOnlyClientAdded,
    /// A trusted client may do everything from now on.
    ClientMadeFull,
    /// A trusted client may only read from now on.
    ClientMadeReadOnly,
    /// A trusted client is called something else.
    ClientRenamed,
    /// A client is no longer trusted, by an administrator's word or its own.
    ClientRevoked,
    /// The passphrase is set or replaced.
    PassphraseSet,
    /// There is no passphrase any more.
    PassphraseRemoved,
    /// There is a token, by which a client may come to do everything.
    TokenCreated,
    /// There is a token, by which a client may come to read.
    ReadOnlyTokenCreated,
    /// A token cannot be redeemed any more, by an administrator's word.
    TokenRevoked,
    /// A client is enrolled by a token, which is spent.
    TokenRedeemed,
    /// A client that may only read is enrolled by a token, which is spent.
    ReadOnlyTokenRedeemed,
    /// The first client is awaited again.
    FirstClientAwaited,
    /// A client that a stock service trusts is trusted here.
    ClientMigrated,
    /// The passphrase of a stock service is the one here.
    PassphraseMigrated,
    /// The hash of that passphrase gives way to one of our own.
    PassphraseRehashed,
    /// What the entry before it says could not be stored, and may not be in force.
    NotStored,
}

impl Event {
    /// Its name in records, in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstClientEnrolled => "first_client_enrolled",
            Self::InstallerEnrolled => "installer_enrolled",
            Self::PassphraseAccepted => "passphrase_accepted",
            Self::ClientAdded => "client_added",
            Self::ReadOnlyClientAdded => "read_only_client_added",
            Self::ClientMadeFull => "client_made_full",
            Self::ClientMadeReadOnly => "client_made_read_only",
            Self::ClientRenamed => "client_renamed",
            Self::ClientRevoked => "client_revoked",
            Self::PassphraseSet => "passphrase_set",
            Self::PassphraseRemoved => "passphrase_removed",
            Self::TokenCreated => "token_created",
            Self::ReadOnlyTokenCreated => "read_only_token_created",
            Self::TokenRevoked => "token_revoked",
            Self::TokenRedeemed => "token_redeemed",
            Self::ReadOnlyTokenRedeemed => "read_only_token_redeemed",
            Self::FirstClientAwaited => "first_client_awaited",
            Self::ClientMigrated => "client_migrated",
            Self::PassphraseMigrated => "passphrase_migrated",
            Self::PassphraseRehashed => "passphrase_rehashed",
            Self::NotStored => "not_stored",
        }
    }
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client, by its certificate.
    Client(Fingerprint),
    /// The machine's administrator: uid 0 over the Unix socket, or whoever may run `multipassd recover`,
    /// `enroll-installer` and `migrate`.
    Administrator,
}

/// `administrator`, or the client's fingerprint.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(fingerprint) => fmt::Display::fmt(fingerprint, f),
            Self::Administrator => f.write_str("administrator"),
        }
    }
}
