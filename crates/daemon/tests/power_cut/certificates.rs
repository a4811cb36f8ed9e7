//! What must hold after a cut, and after a fault.

use std::error::Error;
use std::io;
use std::path::Path;

use daemon::server_identity::ServerIdentityError;
use faulty_disk::{Fault, Log, Plan, Tree};

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
fn survives(start: &Start, result: Result<(), ServerIdentityError>, log: &Log) -> Result<usize, String> {
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
    let (mut states, mut wrong) = (0, Vec::new());
    for start in ALL {
        let (result, log) = start.run(&start.given(), Plan::default());
        match survives(&start, result, &log) {
            Ok(checked) => states += checked,
            Err(why) => wrong.push(format!("{}: {why}", start.name)),
        }
    }
    println!("{states} states");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    let mut unmissed = Vec::new();
    for start in ALL {
        let given = start.given();
        let (_, whole) = start.run(&given, Plan::default());
        for (sync, last) in whole.useful_syncs() {
            let (result, log) = start.run(&given, Plan { ignored_sync: Some(sync), ..Plan::default() });
            if survives(&start, result, &log).is_ok() {
                unmissed.push((start.name, last.to_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(unmissed, DONE_BY_A_LATER_ONE.map(|(name, last)| (name, last.to_owned())));
}

fn check(start: &Start, given: &Tree, fault: Fault) -> Result<(), String> {
    let ([first, second], between, log) =
        start.run_twice(given, Plan { fault: Some(fault), ..Plan::default() });
    if let Err(error) = first {
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        let named = error.to_string().contains("/certificates") || error.to_string().contains("/etc");
        if !named || !reason.contains(&io::Error::from_raw_os_error(fault.errno).to_string()) {
            return Err(format!("it says no more than: {error}: {reason}"));
        }
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
    let (mut faults, mut wrong) = (0, Vec::new());
    for start in ALL {
        let given = start.given();
        let (_, whole) = start.run(&given, Plan::default());
        for fault in Fault::each(whole.asked()) {
            faults += 1;
            if let Err(why) = check(&start, &given, fault) {
                wrong.push(format!("{}, {fault:?}: {why}", start.name));
            }
        }
    }
    println!("{faults} faults");
    assert!(wrong.is_empty(), "{} of {faults}:\n{}", wrong.len(), wrong.join("\n"));
}
