//! What every test of files asks: each state once, each fault once, and whether anything is half there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::log::Log;
use crate::recording::{Extent, Fault};
use crate::tree::Tree;

impl Log {
    /// Calls `check` with each state that a cut may leave, at whichever step since the last plan was set, and
    /// with whether it is one after the last step. Tells how many there were.
    ///
    /// # Errors
    /// What `check` gave first, with the step.
    pub fn check(&self, mut check: impl FnMut(&Tree, bool) -> Result<(), String>) -> Result<usize, String> {
        let mut checked = BTreeSet::new();
        for steps in self.begin..=self.steps.len() {
            let last = steps == self.steps.len();
            for state in self.states(steps) {
                let state = (last, state);
                if !checked.contains(&state) {
                    let done: Vec<_> = self.steps[..steps].iter().map(ToString::to_string).collect();
                    let at = |why| format!("{why}; done were: {}", done.join(", "));
                    check(&state.1, last).map_err(at)?;
                    checked.insert(state);
                }
            }
        }
        Ok(checked.len())
    }

    /// A file that holds what it never held while there was power.
    #[must_use]
    pub fn half(&self, state: &Tree) -> Option<PathBuf> {
        let held: Vec<Tree> = (0..=self.steps.len()).map(|steps| self.now(steps)).collect();
        let whole = |path: &Path, bytes: &[u8]| held.iter().any(|tree| tree.file(path) == Some(bytes));
        let mut files = state.files("");
        files.find(|(path, bytes)| !whole(path, bytes)).map(|(path, _)| path.to_owned())
    }
}

impl Fault {
    /// Each fault that a disk may have while it is asked so many times: it is full, or its user's share of it
    /// is; it becomes read-only; or it fails.
    pub fn each(asked: usize) -> impl Iterator<Item = Self> {
        let kinds = [
            (libc::ENOSPC, Extent::Lasting),
            (libc::ENOSPC, Extent::AfterHalf),
            (libc::EDQUOT, Extent::Lasting),
            (libc::EROFS, Extent::Lasting),
            (libc::EIO, Extent::Once),
        ];
        (0..asked).flat_map(move |at| kinds.map(|(errno, extent)| Self { at, errno, extent }))
    }

    /// Whether files can be removed all the same, once the fault is there.
    #[must_use]
    pub fn lets_files_be_removed(&self) -> bool {
        self.extent == Extent::Once || self.is_lack_of_room()
    }

    pub(crate) fn is_lack_of_room(&self) -> bool {
        matches!(self.errno, libc::ENOSPC | libc::EDQUOT)
    }
}
