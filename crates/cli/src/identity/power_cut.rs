//! The client's identity on a disk that loses power, or fails: what the service may have learned to trust is there
//! afterwards, nothing is there by half, and the next call has an identity.

use faulty_disk::{Fault, Log, Plan, Tree, record, set};
use std::fs;
use tempfile::TempDir;

use super::*;

/// Below the user's data directory.
const DIRECTORY: &str = "share/multipass-client-certificate";

/// What is there before the first call.
type Given = fn(&Path);

const ALL: [(&str, Given); 4] = [
    ("nothing", |_| {}),
    ("the directory", |home| private_files::create_directory(&home.join(DIRECTORY)).expect("made")),
    ("a key alone", |home| {
        store(home).load_or_create().expect("made");
        fs::remove_file(home.join(DIRECTORY).join(CERTIFICATE_FILE)).expect("removed");
    }),
    ("an identity", |home| drop(store(home).load_or_create().expect("made"))),
];

fn store(home: &Path) -> IdentityStore {
    IdentityStore { directory: home.join(DIRECTORY), own: true }
}

/// A user's data directory that holds `tree`.
fn holding(tree: &Tree) -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    tree.write(home.path());
    home
}

fn given(given: Given) -> Tree {
    let home = tempfile::tempdir().expect("a directory");
    given(home.path());
    Tree::read(home.path())
}

/// The identity that a client has which finds this.
fn found(tree: &Tree) -> Result<Vec<u8>, String> {
    let home = holding(tree);
    let identity = store(home.path()).load_or_create().map_err(|fault| fault.to_string())?;
    Ok(identity.certificate().to_vec())
}

fn key(tree: &Tree) -> Option<&[u8]> {
    tree.file(Path::new(DIRECTORY).join(KEY_FILE))
}

/// Runs a call over `given`.
fn run(given: &Tree, plan: Plan) -> (Result<Vec<u8>, String>, Log) {
    let home = holding(given);
    record(home.path(), || {
        set(plan);
        let identity = store(home.path()).load_or_create().map_err(|fault| fault.to_string())?;
        Ok(identity.certificate().to_vec())
    })
}

/// What must hold in each state that a cut may leave: the next call has an identity, with the key that was there,
/// and once the call has returned it is the one that the service may have seen.
fn survives(given: &Tree, made: Result<Vec<u8>, String>, log: &Log) -> Result<usize, String> {
    let made = made?;
    log.check(|state, last| {
        let mut whole = state.clone();
        whole.0.retain(|path, _| !path.to_string_lossy().contains("/.multipass_cert"));
        if let Some(path) = log.half(&whole) {
            return Err(format!("{} is there by half", path.display()));
        }
        if key(given).is_some() && key(state) != key(given) {
            return Err("the key is lost".to_owned());
        }
        match found(state)? == made {
            false if last => Err("it is another one after the call has returned".to_owned()),
            _ => Ok(()),
        }
    })
}

#[test]
fn the_identity_that_a_call_was_made_with_is_there_after_a_cut_of_the_power() {
    let (mut states, mut wrong) = (0, Vec::new());
    for (name, before) in ALL {
        let before = given(before);
        let (made, log) = run(&before, Plan::default());
        match survives(&before, made, &log) {
            Ok(checked) => states += checked,
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    println!("{states} states");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// That the key is there, before its certificate: as long as nobody has seen that, the key may be another one.
const DONE_BY_A_LATER_ONE: [(&str, &str); 2] = [
    ("nothing", "share/multipass-client-certificate/multipass_cert_key.pem"),
    ("the directory", "share/multipass-client-certificate/multipass_cert_key.pem"),
];

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    let mut unmissed = Vec::new();
    for (name, before) in ALL {
        let before = given(before);
        let (_, whole) = run(&before, Plan::default());
        for (sync, last) in whole.useful_syncs() {
            let plan = Plan { ignored_sync: Some(sync), ..Plan::default() };
            let (made, log) = run(&before, plan);
            if survives(&before, made, &log).is_ok() {
                unmissed.push((name, last.display().to_string()));
            }
        }
    }
    assert_eq!(unmissed, DONE_BY_A_LATER_ONE.map(|(name, last)| (name, last.to_owned())));
}

#[test]
fn what_fails_says_so_and_the_next_call_goes_on_from_there() {
    let (mut faults, mut wrong) = (0, Vec::new());
    for (name, before) in ALL {
        let before = given(before);
        let (_, whole) = run(&before, Plan::default());
        for fault in Fault::each(whole.asked()) {
            if let Err(why) = goes_on(&before, fault) {
                wrong.push(format!("{name}, {fault:?}: {why}"));
            }
            faults += 1;
        }
    }
    println!("{faults} faults");
    assert!(faults > 0 && wrong.is_empty(), "{} of {faults}:\n{}", wrong.len(), wrong.join("\n"));
}

fn goes_on(before: &Tree, fault: Fault) -> Result<(), String> {
    let home = holding(before);
    let store = store(home.path());
    let make = || store.load_or_create().map(|identity| identity.certificate().to_vec());
    let ((first, between, second), log) = record(home.path(), || {
        set(Plan { fault: Some(fault), ..Plan::default() });
        let first = make();
        set(Plan::default());
        (first, Tree::read(home.path()), make())
    });
    let second = second.map_err(|fault| format!("the second time: {fault}"))?;
    let failed = first.is_err();
    match first {
        Ok(first) if first != second => return Err("the second call has another identity".to_owned()),
        Err(fault) if !fault.to_string().contains("share") => return Err(format!("it says only: {fault}")),
        _ => {}
    }
    let in_the_end = log.now(log.steps().len());
    if key(&between).is_some() && key(&between) != key(&in_the_end) {
        return Err("the key is another one".to_owned());
    }
    let is_temporary =
        |path: &Path| path.to_string_lossy().contains("/.multipass_cert") && !path.ends_with(LOCK_FILE);
    if fault.lets_files_be_removed() && between.files("").any(|(path, _)| is_temporary(path)) {
        return Err("a temporary file is left".to_owned());
    }
    for state in log.states(log.steps().len()) {
        // Where a sync failed and the power is cut as well, it may be another one: each call would have to sync what
        // it finds.
        if found(&state)? != second && !failed {
            return Err("it is another one after a cut".to_owned());
        }
    }
    Ok(())
}
