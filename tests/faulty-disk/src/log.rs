//! What was done to the disk, step by step.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::tree::Tree;

/// A change to the disk. Paths begin at the directory that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new file, with its mode.
    Create(PathBuf, u32),
    /// A new directory, with its mode.
    MakeDirectory(PathBuf, u32),
    /// What a file holds after it was written to or truncated.
    Contents(PathBuf, Vec<u8>),
    /// The new mode of a file or directory.
    Mode(PathBuf, u32),
    /// A file's contents or a directory's names were made to last.
    Sync(PathBuf),
    /// A new name within the directory.
    Rename(PathBuf, PathBuf),
    /// A file or directory was removed.
    Remove(PathBuf),
}

impl Step {
    /// What it is about; of a rename, the new name.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Create(path, _)
            | Self::MakeDirectory(path, _)
            | Self::Contents(path, _)
            | Self::Mode(path, _)
            | Self::Sync(path)
            | Self::Rename(_, path)
            | Self::Remove(path) => path,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path, mode) => write!(out, "create {} ({mode:o})", path.display()),
            Self::MakeDirectory(path, mode) => write!(out, "mkdir {} ({mode:o})", path.display()),
            Self::Contents(path, bytes) => write!(out, "write {} ({} bytes)", path.display(), bytes.len()),
            Self::Mode(path, mode) => write!(out, "chmod {} ({mode:o})", path.display()),
            Self::Sync(path) => write!(out, "sync {}", path.display()),
            Self::Rename(from, to) => write!(out, "rename {} to {}", from.display(), to.display()),
            Self::Remove(path) => write!(out, "remove {}", path.display()),
        }
    }
}

/// All steps of a recording, and what was there before them, as if synced.
#[derive(Clone, Debug)]
pub struct Log {
    pub(crate) before: Tree,
    pub(crate) steps: Vec<Step>,
    /// How many steps there were when the last plan was set.
    pub(crate) begin: usize,
    /// For each sync that was asked for: what it made last, if anything.
    pub(crate) syncs: Vec<Option<PathBuf>>,
    pub(crate) asked: usize,
}

impl Log {
    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How often the disk was asked to do something, and could have refused, since the last plan was set.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Those of the syncs since the last plan was set that made anything last: their number, and the last thing.
    #[must_use]
    pub fn useful_syncs(&self) -> Vec<(usize, &Path)> {
        let useful = |(number, last)| Some((number, Option::as_deref(last)?));
        self.syncs.iter().enumerate().filter_map(useful).collect()
    }

    /// What is there after so many steps, while there is power.
    #[must_use]
    pub fn now(&self, steps: usize) -> Tree {
        self.disk(steps).now()
    }

    /// All that may be there when the power is cut after so many steps.
    #[must_use]
    pub fn states(&self, steps: usize) -> BTreeSet<Tree> {
        self.disk(steps).after_a_cut().into_iter().collect()
    }

    pub(crate) fn disk(&self, steps: usize) -> Disk {
        let mut disk = Disk::holding(&self.before);
        for step in &self.steps[..steps] {
            disk.take(step);
        }
        disk
    }
}
