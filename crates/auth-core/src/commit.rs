//! Making a change: its condition checked, the change written down, then made.

use crate::{Audit, Change, Entry, Event, Outcome, StoreError, TrustStore};

/// Makes `change`, with `entry` in the audit log before it. *Blocking*.
///
/// # Errors
/// As [`TrustStore::change`]. The log then says that the change may not be in force.
pub(crate) fn commit(
    store: &dyn TrustStore,
    audit: &dyn Audit,
    change: &Change<'_>,
    entry: &Entry<'_>,
) -> Result<Outcome, StoreError> {
    let mut recorded = false;
    let outcome = store.change(change, &mut || {
        audit.record(entry)?;
        recorded = true;
        Ok(())
    });
    if outcome.is_err() && recorded {
        // The caller is told of the first fault, which is likely this one's too.
        let _ = audit.record(&Entry { event: Event::NotStored, ..entry.clone() });
    }
    outcome
}
