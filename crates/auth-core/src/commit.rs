//! Making a change: its condition checked, the change written down, then made.

use std::time::SystemTime;

use crate::{
    Actor, Audit, Change, Channel, Condition, Enrolment, Entry, Event, Fingerprint, Level, Outcome,
    StoreError, TokenId, TrustStore,
};

/// Makes `change`, with an entry in the audit log before it that says by whom, from where and when. *Blocking*.
///
/// # Errors
/// As [`TrustStore::change`]. The log then says that the change may not be in force.
pub(crate) fn commit(
    store: &dyn TrustStore,
    audit: &dyn Audit,
    change: &Change<'_>,
    by: Actor,
    from: Option<&Channel>,
    at: SystemTime,
) -> Result<Outcome, StoreError> {
    let (client, token) = (client(change), token(change));
    let entry = Entry { at, event: event(change), by, from, client, token };
    let mut recorded = false;
    let outcome = store.change(change, &mut || {
        audit.record(&entry)?;
        recorded = true;
        Ok(())
    });
    if outcome.is_err() && recorded {
        // The caller is told of the first fault, which is likely this one's too.
        let _ = audit.record(&Entry { event: Event::NotStored, ..entry });
    }
    outcome
}

fn event(change: &Change<'_>) -> Event {
    match change {
        Change::Enrol(enrolment) => match &enrolment.condition {
            Condition::FirstClient => Event::FirstClientEnrolled,
            Condition::FirstByInstaller => Event::InstallerEnrolled,
            Condition::PassphraseIs(_) => Event::PassphraseAccepted,
            Condition::WantedBy(_) => match enrolment.level {
                Level::Full => Event::ClientAdded,
                Level::ReadOnly => Event::ReadOnlyClientAdded,
            },
            Condition::Token { .. } => match enrolment.level {
                Level::Full => Event::TokenRedeemed,
                Level::ReadOnly => Event::ReadOnlyTokenRedeemed,
            },
        },
        Change::CreateToken { token, .. } => match token.level {
            Level::Full => Event::TokenCreated,
            Level::ReadOnly => Event::ReadOnlyTokenCreated,
        },
        Change::RevokeToken { .. } => Event::TokenRevoked,
        Change::SetLevel { level: Level::Full, .. } => Event::ClientMadeFull,
        Change::SetLevel { level: Level::ReadOnly, .. } => Event::ClientMadeReadOnly,
        Change::Rename { .. } => Event::ClientRenamed,
        Change::Revoke { .. } => Event::ClientRevoked,
        Change::SetPassphrase { passphrase: Some(_), .. } => Event::PassphraseSet,
        Change::SetPassphrase { passphrase: None, .. } => Event::PassphraseRemoved,
        Change::AwaitFirst => Event::FirstClientAwaited,
        Change::TakeOver(what) => what.event(),
    }
}

fn client(change: &Change<'_>) -> Option<Fingerprint> {
    match change {
        Change::Enrol(enrolment) => Some(enrolment.certificate.fingerprint()),
        Change::Revoke { client, .. } | Change::SetLevel { client, .. } | Change::Rename { client, .. } => {
            Some(*client)
        }
        // Clients that are taken over are written down one by one, elsewhere.
        Change::SetPassphrase { .. }
        | Change::CreateToken { .. }
        | Change::RevokeToken { .. }
        | Change::AwaitFirst
        | Change::TakeOver(_) => None,
    }
}

fn token(change: &Change<'_>) -> Option<TokenId> {
    match change {
        Change::Enrol(Enrolment { condition: Condition::Token { hash, .. }, .. })
        | Change::CreateToken { hash, .. } => Some(hash.id()),
        Change::RevokeToken { id, .. } => Some(*id),
        _ => None,
    }
}
