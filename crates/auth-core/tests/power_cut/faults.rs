//! The disk is full, read-only, or fails: at every step of every operation.

use std::error::Error;
use std::io;

use faulty_disk::{Fault, Plan};

use crate::operations::{self, Operation, Run};
use crate::store::{Seen, is_temporary, restart};

fn check(operation: &Operation, fault: Fault, run: &Run) -> Result<(), String> {
    let [first, second] = &run.results;
    if let Err(error) = first {
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        let named = error.to_string().contains("/lock") || error.to_string().contains("/authenticated-certs");
        if !named || !reason.contains(&io::Error::from_raw_os_error(fault.errno).to_string()) {
            return Err(format!("it says no more than: {error}: {reason}"));
        }
    }

    // What is remembered is what is on the disk, and that is the old or the new.
    let found = restart(&run.files, &operation.kept)?;
    if found != operation.after && (first.is_ok() || found != operation.before) {
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

    // The same again works, and is there whatever happens.
    match second {
        Ok(told) if *told == operation.after => {}
        other => return Err(format!("the second time: {other:?}")),
    }
    for state in run.log.states(run.log.steps().len()) {
        let found = restart(&state, &operation.kept)?;
        if found != operation.after {
            return Err(format!("after the second time, and a cut: {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_fails_says_so_and_leaves_the_old_state_whole() {
    let (mut faults, mut wrong) = (0, Vec::new());
    for operation in operations::all() {
        let given = operation.given();
        let (_, whole) = operation.run(&given, Plan::default());
        for fault in Fault::each(whole.asked()) {
            let run = operation.run_twice(&given, Plan { fault: Some(fault), ..Plan::default() });
            if let Err(why) = check(&operation, fault, &run) {
                wrong.push(format!("{}, {fault:?}: {why}", operation.name));
            }
            faults += 1;
        }
    }
    println!("{faults} faults");
    assert!(wrong.is_empty(), "{} of {faults}:\n{}", wrong.len(), wrong.join("\n"));
}
