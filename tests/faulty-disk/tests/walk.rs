//! The walk: that it tells work that survives from work that does not.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::Path;

use faulty_disk::walk::{self, Work};
use faulty_disk::{Fault, Log, Plan, Tree, record, set};

/// Replaces a file, in one way or another.
struct Replace(&'static str, fn(&Path) -> io::Result<()>);

fn as_one_should(directory: &Path) -> io::Result<()> {
    let (new, file) = (directory.join("new"), directory.join("file"));
    let mut opened = File::create(&new)?;
    opened.write_all(b"new")?;
    opened.sync_all()?;
    fs::rename(new, file)?;
    File::open(directory)?.sync_all()
}

fn in_place(directory: &Path) -> io::Result<()> {
    let mut opened = File::create(directory.join("file"))?;
    opened.write_all(b"new")?;
    opened.sync_all()
}

fn twice_synced(directory: &Path) -> io::Result<()> {
    // What is made last is the other file's name, for which the next sync of the directory would do.
    File::create(directory.join("another"))?.sync_all()?;
    File::open(directory)?.sync_all()?;
    as_one_should(directory)
}

fn regardless(directory: &Path) -> io::Result<()> {
    let _ = as_one_should(directory);
    Ok(())
}

impl Work for Replace {
    type Told = io::Result<()>;

    fn name(&self) -> &'static str {
        self.0
    }

    fn given(&self) -> Tree {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "old").unwrap();
        Tree::read(directory.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let directory = given.in_a_directory();
        record(directory.path(), || {
            set(plan);
            (self.1)(directory.path())
        })
    }

    fn survives(&self, _: &Tree, told: Self::Told, log: &Log) -> Result<usize, String> {
        told.map_err(|error| error.to_string())?;
        log.check(|state, last| match state.file("file") {
            Some(b"new") => Ok(()),
            Some(b"old") if !last => Ok(()),
            other => Err(format!("{other:?}")),
        })
    }

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        match self.run(given, Plan { fault: Some(fault), ..Plan::default() }) {
            (Ok(()), log) if log.now(log.steps().len()).file("file") != Some(b"new") => {
                Err("lost".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn work_that_does_not_survive_is_found_out() {
    let proper = || [Replace("as one should", as_one_should)];
    walk::cut(&proper());
    walk::refuse(&proper());
    assert_eq!(walk::unmissed_syncs(&proper()), []);

    let cut = catch_unwind(|| walk::cut(&[Replace("in place", in_place)]));
    let refused = catch_unwind(|| walk::refuse(&[Replace("regardless", regardless)]));
    assert!(cut.is_err() && refused.is_err());
    let unmissed = walk::unmissed_syncs(&[Replace("twice", twice_synced)]);
    assert_eq!(unmissed, [("twice", "another".into())]);
}
