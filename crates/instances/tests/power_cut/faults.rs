//! The disk is full, read-only, or fails: at every step of every operation.

use faulty_disk::{Fault, walk};
use instances::RegistryError;

use crate::operations::{self, Operation, Run, is_leftover, restart};

/// What must hold of a call that was made twice, over a disk with this fault and over one that was fixed.
pub(crate) fn check(operation: &Operation, fault: Fault, run: &Run) -> Result<(), String> {
    let [first, second] = &run.results;
    if let Err(error) = first {
        fault.is_told_by(error, &["/instances"])?;
    }

    // What is remembered is what is on the disk, and that is the old or the new.
    let found = restart(&run.files)?;
    if found != operation.after && (first.is_ok() || found != operation.before) {
        return Err(format!("after it failed: {found:?}"));
    }
    if let Some(between) = run.between.as_ref().filter(|between| **between != found) {
        return Err(format!("it remembers {between:?}, and what is there is {found:?}"));
    }
    let is_new = |path| is_leftover(path) && !run.log.now(0).0.contains_key(path);
    // What was renamed out and could not be removed waits for the next start.
    let waits = operation.name == "out for good" && found == operation.after;
    let left = run.files.0.keys().find(|path| is_new(path));
    if let (Some(path), true, false) = (left, fault.lets_files_be_removed(), waits) {
        // The fault may have been to its removal.
        if fault.extent != faulty_disk::Extent::Once || first.is_ok() {
            return Err(format!("{} is left", path.display()));
        }
    }

    // The same again works, or was done.
    match second {
        Ok(told) if *told == operation.after => {}
        Err(RegistryError::Exists(_) | RegistryError::DoesNotExist(_)) if found == operation.after => {}
        other => return Err(format!("the second time: {other:?}")),
    }
    if second.is_err() {
        return Ok(());
    }
    for state in run.log.states(run.log.steps().len()) {
        let found = restart(&state)?;
        if found != operation.after {
            return Err(format!("after the second time, and a cut: {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_fails_says_so_and_leaves_the_old_state_whole() {
    walk::refuse(&operations::all());
}
