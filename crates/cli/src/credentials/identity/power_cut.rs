//! The client's identity on a disk that loses power, or fails: what the service may have learned to trust is there
//! afterwards, nothing is there by half, and the next call has an identity.

use std::fs;

use faulty_disk::walk::{self, Work};
use faulty_disk::{Fault, Log, Plan, Tree, record, set};

use super::*;

/// Below the user's data directory.
const DIRECTORY: &str = "share/multipass-client-certificate";

/// A call of a client, over what is there before it.
struct Call(&'static str, fn(&Path));

const ALL: [Call; 4] = [
    Call("nothing", |_| {}),
    Call("the directory", |home| files::create_directory(&home.join(DIRECTORY)).expect("made")),
    Call("a key alone", |home| {
        store(home).load_or_create().expect("made");
        fs::remove_file(home.join(DIRECTORY).join(CERTIFICATE_FILE)).expect("removed");
    }),
    Call("an identity", |home| drop(store(home).load_or_create().expect("made"))),
];

fn store(home: &Path) -> IdentityStore {
    IdentityStore { directory: home.join(DIRECTORY), own: true, repairs_permissions: true }
}

/// The identity that a client has which finds this.
fn found(tree: &Tree) -> Result<Vec<u8>, String> {
    let home = tree.in_a_directory();
    let identity = store(home.path()).load_or_create().map_err(|fault| fault.to_string())?;
    Ok(identity.certificate().to_vec())
}

fn key(tree: &Tree) -> Option<&[u8]> {
    tree.file(Path::new(DIRECTORY).join(KEY_FILE))
}

impl Work for Call {
    type Told = Result<Vec<u8>, String>;

    fn name(&self) -> &'static str {
        self.0
    }

    fn given(&self) -> Tree {
        let home = tempfile::tempdir().expect("a directory");
        (self.1)(home.path());
        Tree::read(home.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let home = given.in_a_directory();
        record(home.path(), || {
            set(plan);
            let identity = store(home.path()).load_or_create().map_err(|fault| fault.to_string())?;
            Ok(identity.certificate().to_vec())
        })
    }

    /// The next call has an identity, with the key that was there, and once the call has returned it is the one that
    /// the service may have seen.
    fn survives(&self, given: &Tree, made: Self::Told, log: &Log) -> Result<usize, String> {
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

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        goes_on(given, fault)
    }
}

#[test]
fn the_identity_that_a_call_was_made_with_is_there_after_a_cut_of_the_power() {
    walk::cut(&ALL);
}

/// That the key is there, before its certificate: as long as nobody has seen that, the key may be another one.
const DONE_BY_A_LATER_ONE: [(&str, &str); 2] = [
    ("nothing", "share/multipass-client-certificate/multipass_cert_key.pem"),
    ("the directory", "share/multipass-client-certificate/multipass_cert_key.pem"),
];

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    assert_eq!(walk::unmissed_syncs(&ALL), DONE_BY_A_LATER_ONE.map(|(name, last)| (name, last.into())));
}

#[test]
fn what_fails_says_so_and_the_next_call_goes_on_from_there() {
    walk::refuse(&ALL);
}

fn goes_on(before: &Tree, fault: Fault) -> Result<(), String> {
    let home = before.in_a_directory();
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
