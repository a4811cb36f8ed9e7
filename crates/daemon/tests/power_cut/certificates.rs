//! What must hold after a cut, and after a fault.

use std::path::Path;

use daemon::server_identity::ServerIdentityError;
use faulty_disk::{Fault, Log, Tree, walk};

use crate::starts::{ALL, OWN, PUBLISHED, ROOT_KEY, Start};

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".new-"))
}

/// The next start succeeds, and keeps the root that clients may have learned to trust.
fn trust_is_kept(start: &Start, state: &Tree) -> Result<(), String> {
    let after = start.restart(state)?;
    // A certificate that has expired is made again, from the same key.
    for (file, lasts) in [(ROOT_KEY, true), (PUBLISHED, start.keeps_root())] {
        let published = state.file(PUBLISHED).is_some();
        if lasts && published && after.file(file) != state.file(file) {
            return Err(format!("{file} was replaced"));
        }
    }
    match after.files(OWN).find(|(path, _)| is_temporary(path)) {
        Some((path, _)) => Err(format!("{} is left", path.display())),
        None => Ok(()),
    }
}

/// Checks each state that a cut may leave, and gives their number.
pub(crate) fn survives(
    start: &Start,
    result: Result<(), ServerIdentityError>,
    log: &Log,
) -> Result<usize, String> {
    result.map_err(|error| format!("{error:?}"))?;
    let in_the_end = log.now(log.steps().len());
    log.check(|state, last| {
        let mut whole = state.clone();
        whole.0.retain(|path, _| !is_temporary(path));
        if let Some(path) = log.half(&whole) {
            return Err(format!("{} is there by half", path.display()));
        }
        trust_is_kept(start, state)?;
        match last && *state != in_the_end {
            true => Err("not all is there that was acknowledged".to_owned()),
            false => Ok(()),
        }
    })
}

#[test]
fn what_clients_trust_survives_a_cut() {
    walk::cut(&ALL);
}

/// The syncs of a directory that nobody misses, by what they make last: a later one of the same
/// directory does their work before anything depends on it.
const DONE_BY_A_LATER_ONE: [(&str, &str); 6] = [
    // The root key, before its certificate, and that before what is published.
    ("the first", "data/certificates/localhost_root_key.pem"),
    // The private copy of the root certificate. What is published is as good.
    ("the first", "data/certificates/localhost_root.pem"),
    // The server's key, before its certificate.
    ("the first", "data/certificates/localhost_key.pem"),
    ("the server certificate is old", "data/certificates/localhost_key.pem"),
    // The private copy again, and the server's key.
    ("the root certificate is old", "data/certificates/localhost_root.pem"),
    ("the root certificate is old", "data/certificates/localhost_key.pem"),
];

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    assert_eq!(walk::unmissed_syncs(&ALL), DONE_BY_A_LATER_ONE.map(|(name, last)| (name, last.into())));
}

/// What must hold of a start over a disk with this fault, and of one that was fixed.
pub(crate) fn check(start: &Start, given: &Tree, fault: Fault) -> Result<(), String> {
    let ([first, second], between, log) = start.run_twice(given, fault);
    if let Err(error) = first {
        fault.is_told_by(&error, &["/certificates", "/etc"])?;
    }
    trust_is_kept(start, &between)?;
    let left = between.files("").find(|(path, _)| is_temporary(path) && given.file(path).is_none());
    if let (Some((path, _)), true) = (left, fault.lets_files_be_removed()) {
        return Err(format!("{} is left", path.display()));
    }
    second.map_err(|error| format!("the second time: {error:?}"))?;
    let in_the_end = log.now(log.steps().len());
    for state in log.states(log.steps().len()) {
        let after = start.restart(&state)?;
        if let Some(file) =
            [ROOT_KEY, PUBLISHED].into_iter().find(|file| after.file(file) != in_the_end.file(file))
        {
            return Err(format!("{file} was replaced after the second time and a cut"));
        }
    }
    Ok(())
}

#[test]
fn what_fails_says_so_and_leaves_what_clients_trust() {
    walk::refuse(&ALL);
}
