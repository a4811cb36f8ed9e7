//! The power is cut: at every step of every operation, and with every sync left out.

use auth_core::StoreError;
use faulty_disk::{Log, Tree, walk};

use crate::operations::{self, Operation};
use crate::store::{DIRECTORY, Seen, is_temporary, restart, stock_trusts};

/// What must hold in each state that a cut may leave: the store is as before or after the operation, once
/// that has returned as after it, and by then all of it is on the disk. Gives the number of states.
pub(crate) fn survives(
    operation: &Operation,
    result: Result<Seen, StoreError>,
    log: &Log,
) -> Result<usize, String> {
    let told = result.map_err(|error| format!("{error:?}"))?;
    if told != operation.after {
        return Err(format!("the store says {told:?}"));
    }
    let in_the_end = log.now(log.steps().len());
    log.check(|state, last| {
        nothing_is_half(log, state)?;
        // Half-way too, nobody may do more by it than before or after.
        let had = |name| stock_trusts(&log.now(0)).any(|other| other == name);
        if let Some(name) = stock_trusts(state).find(|name| !operation.after.has_full(*name) && !had(*name)) {
            return Err(format!("for the stock service, {name} is a client that may do everything"));
        }
        let found = restart(state, &operation.kept)?;
        let is_half_way = operation.half_way.as_ref() == Some(&found);
        if found != operation.after && (last || (found != operation.before && !is_half_way)) {
            return Err(format!("after the restart: {found:?}"));
        }
        let files = |tree: &Tree| -> Vec<_> {
            tree.files(DIRECTORY).map(|(path, bytes)| (path.to_owned(), bytes.to_owned())).collect()
        };
        match last && files(state) != files(&in_the_end) {
            true => Err(format!("not all is there that was acknowledged: {state:?}")),
            false => Ok(()),
        }
    })
}

fn nothing_is_half(log: &Log, state: &Tree) -> Result<(), String> {
    let mut whole = state.clone();
    whole.0.retain(|path, _| !is_temporary(path));
    log.half(&whole).map_or(Ok(()), |path| Err(format!("{} is there by half", path.display())))
}

#[test]
fn what_was_acknowledged_is_there_and_nothing_by_half() {
    walk::cut(&operations::all());
}

/// The syncs of a directory that nobody misses, by what they make last: a later one of the same
/// directory does their work before anything depends on it.
const DONE_BY_A_LATER_ONE: [(&str, &str); 17] = [
    // That the first client is awaited, before the passphrase.
    ("the first start, and a passphrase", "authenticated-certs/first-client-awaited"),
    // The marker, before what is damaged is taken out of the trust file.
    ("a start over damage", "authenticated-certs/enrolled-once"),
    ("a start over nothing but damage", "authenticated-certs/enrolled-once"),
    // That a leftover is gone, before the first client is awaited. It would only be removed again.
    ("a start over what a crash left", "authenticated-certs/.new-1"),
    // That a client is revoked, before its block is taken out of the trust file: either keeps it out.
    ("a client is revoked", "authenticated-certs/revoked"),
    ("the last client is revoked", "authenticated-certs/revoked"),
    // The client, before it is no longer revoked: until then it stays out.
    ("a revoked client is added", "authenticated-certs/multipass_client_certs.pem"),
    ("a revoked client, put back by hand, is added", "authenticated-certs/multipass_client_certs.pem"),
    // As above.
    ("a client that may only read is revoked", "authenticated-certs/revoked"),
    ("a revoked client is added, and may only read", "authenticated-certs/read-only-clients.pem"),
    // That a token is spent, before its client is in the trust file: by that alone it may not do more yet, for it is
    // also in the file of those that may only read, or of the revoked.
    ("a token is redeemed, by a client that may only read", "authenticated-certs/tokens"),
    ("a token is redeemed, by a client that was revoked", "authenticated-certs/tokens"),
    // As for a revoked client that is added.
    ("a token is redeemed, by a client that was revoked", "authenticated-certs/multipass_client_certs.pem"),
    // As for a client that is revoked; and that its block is gone, before its tokens are.
    ("a client that made a token is revoked", "authenticated-certs/revoked"),
    ("a client that made a token is revoked", "authenticated-certs/multipass_client_certs.pem"),
    // It may only read, and its token is void, whether its block is gone or not.
    (
        "a client that made a token may only read from now on",
        "authenticated-certs/multipass_client_certs.pem",
    ),
    // As for a revoked client that is added.
    (
        "a client is added again whose token was left by a crash",
        "authenticated-certs/multipass_client_certs.pem",
    ),
];

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    let unmissed = walk::unmissed_syncs(&operations::all());
    assert_eq!(unmissed, DONE_BY_A_LATER_ONE.map(|(name, last)| (name, last.into())));
}
