//! The disk is full, read-only, or fails: at every step of every operation.

use faulty_disk::{Fault, walk};

use crate::operations::{self, Operation, Run};
use crate::store::{Seen, is_temporary, restart};

/// What must hold of a call that was made twice, over a disk with this fault and over one that was fixed.
pub(crate) fn check(operation: &Operation, fault: Fault, run: &Run) -> Result<(), String> {
    let [first, second] = &run.results;
    if let Err(error) = first {
        fault.is_told_by(error, &["/lock", "/authenticated-certs"])?;
    }

    // What is remembered is what is on the disk, and that is the old or the new.
    let found = restart(&run.files, &operation.kept)?;
    let is_half_way = operation.half_way.as_ref() == Some(&found);
    if found != operation.after && (first.is_ok() || (found != operation.before && !is_half_way)) {
        return Err(format!("after it failed: {found:?}"));
    }
    // What others did may not have been read yet.
    let unread = |between: &Seen| operation.meanwhile.is_some() && *between == operation.before;
    if let Some(between) = run.between.as_ref().filter(|between| **between != found && !unread(between)) {
        return Err(format!("it remembers {between:?}, and what is there is {found:?}"));
    }
    let is_new = |path| is_temporary(path) && run.log.now(0).file(path).is_none();
    let left = run.files.files("").find(|(path, _)| is_new(path));
    if let (Some((path, _)), true) = (left, fault.lets_files_be_removed()) {
        return Err(format!("{} is left", path.display()));
    }

    // The same again works, and is there whatever happens; or there is nothing left for it to do.
    let expected = if is_half_way { &found } else { &operation.after };
    match second {
        Ok(told) if told == expected => {}
        other => return Err(format!("the second time: {other:?}")),
    }
    for state in run.log.states(run.log.steps().len()) {
        let found = restart(&state, &operation.kept)?;
        if found != *expected {
            return Err(format!("after the second time, and a cut: {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_fails_says_so_and_leaves_the_old_state_whole() {
    walk::refuse(&operations::all());
}
