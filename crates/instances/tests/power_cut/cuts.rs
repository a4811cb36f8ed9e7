//! The power is cut: at every step of every operation, and with every sync left out.

use std::ffi::OsStr;
use std::path::Path;

use faulty_disk::{Log, walk};
use instances::RegistryError;

use crate::operations::{self, Operation, restart};

/// What must hold in each state that a cut may leave: the registry is as before or after the operation, and
/// once that has returned as after it. Gives the number of states.
pub(crate) fn survives(
    operation: &Operation,
    result: Result<String, RegistryError>,
    log: &Log,
) -> Result<usize, String> {
    let told = result.map_err(|error| format!("{error:?}"))?;
    if told != operation.after {
        return Err(format!("the registry says {told:?}"));
    }
    log.check(|state, last| {
        let found = restart(state)?;
        match found == operation.after || (!last && found == operation.before) {
            true => Ok(()),
            false => Err(format!("after the restart: {found:?}")),
        }
    })
}

#[test]
fn what_was_acknowledged_is_there_and_nothing_by_half() {
    walk::cut(&operations::all());
}

/// The syncs that nobody misses, by what they make last.
const UNMISSED: [(&str, &str); 14] = [
    // An empty directory, and a lock in it: whoever needs them makes them again.
    ("the first start", "instances"),
    ("the first start", "instances/lock"),
    // All that is done to a new instance's directory is made to last by the syncs after its record.
    ("the first start, and an instance", "instances/lock"),
    ("the first start, and an instance", "instances/.new-…"),
    ("the first start, and an instance", "instances/.new-…/machine"),
    ("the first start, and an instance", "instances/.new-…/client_key"),
    // That leftovers are gone. They would only be removed again.
    ("a start after a crash", "instances/a/.new-3"),
    ("a start after a crash", "instances/a"),
    // As above.
    ("the first instance", "instances/.new-…"),
    ("the first instance", "instances/.new-…/machine"),
    ("the first instance", "instances/.new-…/client_key"),
    ("another instance", "instances/.new-…"),
    ("another instance", "instances/.new-…/machine"),
    ("another instance", "instances/.new-…/client_key"),
];

/// A path without the ids that are new each time.
fn known(path: &Path) -> String {
    let part = |part: &OsStr| match part.to_str().unwrap() {
        part if part.starts_with(".new-") && part.len() > 36 => ".new-…".to_owned(),
        part => part.to_owned(),
    };
    path.iter().map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    let unmissed = walk::unmissed_syncs(&operations::all()).into_iter();
    let unmissed: Vec<_> = unmissed.map(|(name, last)| (name, known(&last))).collect();
    assert_eq!(unmissed, UNMISSED.map(|(name, last)| (name, last.to_owned())));
}
