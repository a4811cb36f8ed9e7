//! The user's remotes on a disk that loses power, is full, or fails: they are as before or as after, never by half, and
//! what was done stays.

use std::fs;
use std::path::Path;

use faulty_disk::walk::{self, Work};
use faulty_disk::{Fault, Log, Plan, Tree, record, set};

use super::tests::{name, remote, remotes_in};
use super::*;

/// Below the user's data directory.
const DIRECTORY: &str = "share/multipass-client";
const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A change, over what is there before it.
struct Change {
    name: &'static str,
    given: fn(&Remotes),
    done: fn(&Remotes) -> Result<(), RemotesError>,
}

const ALL: [Change; 3] = [
    Change { name: "the first one is added", given: |_| {}, done: add },
    Change { name: "another one is added", given: one, done: add },
    Change { name: "the default one is removed", given: two, done: |all| all.remove(&name("one")).map(drop) },
];

fn one(remotes: &Remotes) {
    remotes.add(&remote("one", "a.example:1", ONE), OnConflict::Refuse).expect("written");
    remotes.set_default(&name("one")).expect("written");
}

fn two(remotes: &Remotes) {
    one(remotes);
    remotes.add(&remote("two", "b.example:1", ONE), OnConflict::Refuse).expect("written");
}

/// As somebody does who is not told that it is there.
fn add(remotes: &Remotes) -> Result<(), RemotesError> {
    remotes.add(&remote("new", "unix:/run/socket", ""), OnConflict::Replace)
}

fn at(home: &Path) -> Remotes {
    remotes_in(&home.join(DIRECTORY))
}

/// What a client finds.
fn found(tree: &Tree) -> Result<RemoteList, String> {
    at(tree.in_a_directory().path()).read().map_err(|fault| fault.to_string())
}

impl Change {
    /// What is found before, and after.
    fn ends(&self, given: &Tree) -> Result<(RemoteList, RemoteList), String> {
        let home = given.in_a_directory();
        // It may be done already.
        let _ = (self.done)(&at(home.path()));
        Ok((found(given)?, found(&Tree::read(home.path()))?))
    }
}

impl Work for Change {
    type Told = Result<(), String>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn given(&self) -> Tree {
        let home = tempfile::tempdir().expect("a directory");
        (self.given)(&at(home.path()));
        Tree::read(home.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let home = given.in_a_directory();
        record(home.path(), || {
            set(plan);
            (self.done)(&at(home.path())).map_err(|fault| fault.to_string())
        })
    }

    fn survives(&self, given: &Tree, told: Self::Told, log: &Log) -> Result<usize, String> {
        told?;
        let (before, after) = self.ends(given)?;
        log.check(|state, last| {
            let found = found(state)?;
            match found == after || (found == before && !last) {
                true => Ok(()),
                false => Err(format!("there are {found:?}")),
            }
        })
    }

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        let (before, after) = self.ends(given)?;
        let home = given.in_a_directory();
        let remotes = at(home.path());
        let ((first, between, second), _) = record(home.path(), || {
            set(Plan { fault: Some(fault), ..Plan::default() });
            let first = (self.done)(&remotes);
            set(Plan::default());
            (first, Tree::read(home.path()), (self.done)(&remotes))
        });
        let between = found(&between)?;
        match &first {
            Ok(()) if between != after => return Err(format!("it was done, and there are {between:?}")),
            Err(_) if between != before && between != after => return Err(format!("there are {between:?}")),
            Err(told) if !told.to_string().contains("share") => return Err(format!("it says only: {told}")),
            _ => {}
        }
        // What was done in spite of the fault cannot be done twice.
        match second {
            Err(fault) if between != after => return Err(format!("the second time: {fault}")),
            _ => {}
        }
        let in_the_end = found(&Tree::read(home.path()))?;
        let left = fs::read_dir(home.path().join(DIRECTORY)).map_err(|error| error.to_string())?;
        let temporary = left.flatten().any(|it| {
            it.file_name().to_string_lossy().starts_with(".remotes.") && it.file_name() != ".remotes.lock"
        });
        match in_the_end == after {
            false => Err(format!("in the end there are {in_the_end:?}")),
            true if temporary && fault.lets_files_be_removed() => Err("a temporary file is left".to_owned()),
            true => Ok(()),
        }
    }
}

#[test]
fn a_cut_of_the_power_loses_nothing_that_was_there_or_done() {
    walk::cut(&ALL);
}

#[test]
fn every_sync_is_missed_when_it_is_left_out() {
    assert_eq!(walk::unmissed_syncs(&ALL), []);
}

#[test]
fn a_full_or_failing_disk_leaves_what_was_there() {
    walk::refuse(&ALL);
}
