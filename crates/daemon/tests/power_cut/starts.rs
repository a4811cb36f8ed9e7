//! Starts of a daemon over certificates of every age, as a table.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daemon::server_identity::{ServerIdentityError, load_or_create};
use faulty_disk::walk::Work;
use faulty_disk::{Fault, Log, Plan, Tree, record, set};

use crate::certificates;

/// Below the recorded directory.
pub(crate) const ROOT_KEY: &str = "data/certificates/localhost_root_key.pem";
pub(crate) const OWN: &str = "data/certificates";
pub(crate) const PUBLISHED: &str = "etc/multipass/root.pem";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A start of the daemon.
pub(crate) struct Start {
    name: &'static str,
    /// What was there before.
    given: fn(&Path),
    /// How many days after the first start.
    days: u32,
}

/// All starts.
pub(crate) const ALL: [Start; 6] = [
    Start { name: "the first", given: |_| {}, days: 0 },
    Start { name: "another", given: once, days: 1 },
    Start { name: "the server certificate is old", given: once, days: 560 },
    Start { name: "the root certificate is old", given: once, days: 3651 },
    Start {
        name: "the published root is gone",
        given: |directory| {
            once(directory);
            fs::remove_dir_all(directory.join("etc")).unwrap();
        },
        days: 1,
    },
    Start {
        name: "after a crash",
        given: |directory| {
            once(directory);
            fs::write(directory.join(OWN).join(".new-1"), "half").unwrap();
        },
        days: 1,
    },
];

fn once(directory: &Path) {
    start(directory, 0).unwrap();
}

fn start(directory: &Path, days: u32) -> Result<(), ServerIdentityError> {
    // 2026-01-01.
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(1_767_225_600) + DAY * days;
    load_or_create(&directory.join("data"), &directory.join(PUBLISHED), now).map(|_| ())
}

impl Work for Start {
    type Told = Result<(), ServerIdentityError>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn given(&self) -> Tree {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        DirBuilder::new().mode(0o700).create(directory.path().join("data")).unwrap();
        (self.given)(directory.path());
        Tree::read(directory.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let directory = given.in_a_directory();
        record(directory.path(), || {
            set(plan);
            start(directory.path(), self.days)
        })
    }

    fn survives(&self, _: &Tree, told: Self::Told, log: &Log) -> Result<usize, String> {
        certificates::survives(self, told, log)
    }

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        certificates::check(self, given, fault)
    }
}

impl Start {
    /// Starts over a faulty disk, and again when it is fixed. Gives what is there between the two, too.
    pub(crate) fn run_twice(
        &self,
        given: &Tree,
        fault: Fault,
    ) -> ([Result<(), ServerIdentityError>; 2], Tree, Log) {
        let directory = given.in_a_directory();
        let ((results, between), log) = record(directory.path(), || {
            set(Plan { fault: Some(fault), ..Plan::default() });
            let first = start(directory.path(), self.days);
            set(Plan::default());
            let between = Tree::read(directory.path());
            ([first, start(directory.path(), self.days)], between)
        });
        (results, between, log)
    }

    /// Whether the root certificate that was there is still valid.
    pub(crate) fn keeps_root(&self) -> bool {
        DAY * self.days < DAY * 3650
    }

    /// What is there after a start over these files. It is asked once for each tree.
    pub(crate) fn restart(&self, tree: &Tree) -> Result<Tree, String> {
        type Found = BTreeMap<(u32, Tree), Result<Tree, String>>;
        thread_local! {
            static FOUND: RefCell<Found> = const { RefCell::new(Found::new()) };
        }
        FOUND.with_borrow_mut(|found| {
            found.entry((self.days, tree.clone())).or_insert_with(|| self.restart_over(tree)).clone()
        })
    }

    fn restart_over(&self, tree: &Tree) -> Result<Tree, String> {
        let directory = tree.in_a_directory();
        start(directory.path(), self.days).map_err(|error| format!("the next start: {error:?}"))?;
        Ok(Tree::read(directory.path()))
    }
}
