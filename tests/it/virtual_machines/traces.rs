//! What a daemon has on its disk, and the processes that it has started: to be the same after what failed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::wait_until;

use super::Host;

/// How soon what was given up must be gone.
const DEADLINE: Duration = Duration::from_secs(10);

/// What is there: for each file below the instances' directory and the cache its length, if it is one. Whole images
/// are left out: they are kept for whoever launches them next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traces(BTreeMap<PathBuf, Option<u64>>);

impl Host {
    /// What is there now.
    pub(super) fn traces(&self) -> Traces {
        let home = self.service().daemon.data.parent().expect("a directory");
        let files = ["data/instances", "cache"].iter().flat_map(|part| files_below(&home.join(part)));
        let files = files.filter(|file| !is_image(file));
        // One may go just then, which the next look tells.
        let length =
            |file: &PathBuf| fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file).map(|is| is.len());
        Traces(files.map(|file| (file.clone(), length(&file))).collect())
    }

    /// Waits until there is what there was `before`, and the daemon has no process at work.
    #[track_caller]
    pub(super) fn is_left_as(&self, before: &Traces, what: &str) {
        let is_as_before = || self.traces() == *before && self.at_work().is_empty();
        if wait_until("nothing is left", DEADLINE, is_as_before).is_err() {
            assert_eq!(self.traces(), *before, "{what}");
            assert_eq!(self.at_work(), [0; 0], "{what}");
        }
    }

    /// The daemon's children.
    pub(super) fn at_work(&self) -> Vec<u32> {
        let tasks =
            fs::read_dir(format!("/proc/{}/task", self.service().daemon.pid())).expect("the daemon's tasks");
        let children =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        children
            .flat_map(|all| all.split_whitespace().filter_map(|one| one.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// The whole images that the image store has, by their digests.
    pub(super) fn kept_images(&self) -> Vec<String> {
        let vault = self.service().daemon.data.with_file_name("cache").join("vault");
        let images = files_below(&vault).into_iter().filter(|file| is_image(file));
        images.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
    }
}

/// All that lies below a directory at the moment: what is just being removed may be missing.
pub(super) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

fn is_image(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
