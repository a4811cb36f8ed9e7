//! The disk is full, read-only, or fails: at every step of every operation.

use std::error::Error;
use std::io;

use faulty_disk::{Fault, Plan};
use instances::RegistryError;

use crate::operations::{self, Operation, Run, is_leftover, restart};

fn check(operation: &Operation, fault: Fault, run: &Run) -> Result<(), String> {
    let [first, second] = &run.results;
    if let Err(error) = first {
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        let is_told = error.to_string().contains("/instances");
        if !is_told || !reason.contains(&io::Error::from_raw_os_error(fault.errno).to_string()) {
            return Err(format!("it says no more than: {error}: {reason}"));
        }
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
