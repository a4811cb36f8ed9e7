//! What an entry of the audit log asks of the disk: each grant waits for it.

use std::fs;
use std::time::UNIX_EPOCH;

use auth_core::{Actor, Audit, Entry, Event};
use daemon::audit::{self, FileAudit};
use faulty_disk::record;

const ENTRY: Entry<'_> = Entry {
    at: UNIX_EPOCH,
    event: Event::PassphraseSet,
    by: Actor::Administrator,
    from: None,
    client: None,
    token: None,
};

#[test]
fn an_entry_costs_a_write_and_a_sync_and_leaves_the_directory_alone() {
    let data = tempfile::tempdir().unwrap();
    let log = FileAudit::new(&audit::directory(data.path()).unwrap());
    log.record(&ENTRY).unwrap();
    let (recorded, steps) = record(data.path(), || log.record(&ENTRY));
    recorded.unwrap();
    let steps: Vec<String> = steps.steps().iter().map(ToString::to_string).collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].starts_with("write audit/grants.jsonl (") && steps[1] == "sync audit/grants.jsonl");
}

/// Where there was no room for it when the daemon started.
#[test]
fn a_directory_that_is_missing_is_made_by_the_next_entry() {
    let data = tempfile::tempdir().unwrap();
    let directory = audit::directory(data.path()).unwrap();
    let log = FileAudit::new(&directory);
    fs::remove_dir(&directory).unwrap();
    log.record(&ENTRY).unwrap();
    assert_eq!(fs::read_to_string(directory.join("grants.jsonl")).unwrap().lines().count(), 1);
}
