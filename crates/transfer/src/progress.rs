//! What a transfer is at, for who shows it while it goes on, and what it met on the way.

use std::cell::RefCell;

use crate::problem::{Place, Problem};

/// So many problems wait to be shown; more are only counted. A guest may have one in each of a million names.
const WAITING: usize = 100;

/// The state of one or more transfers in a row.
#[derive(Debug, Default)]
pub struct Watch(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    now: Option<Now>,
    problems: Vec<Problem>,
    met: u64,
    half_made: Option<Vec<u8>>,
}

/// The file that is being copied.
#[derive(Clone, Debug)]
pub struct Now {
    /// Which one.
    pub place: Place,
    /// Its length in bytes, as far as anybody knows.
    pub size: Option<u64>,
    /// So much of it is copied.
    pub moved: u64,
}

impl Watch {
    /// What is being copied.
    #[must_use]
    pub fn now(&self) -> Option<Now> {
        self.0.borrow().now.clone()
    }

    /// The problems since the last call, or as many as were kept.
    #[must_use]
    pub fn take_problems(&self) -> Vec<Problem> {
        std::mem::take(&mut self.0.borrow_mut().problems)
    }

    /// How many problems there were in all.
    #[must_use]
    pub fn problems(&self) -> u64 {
        self.0.borrow().met
    }

    /// The file in the guest that is to be removed if the transfer is given up now.
    #[must_use]
    pub fn half_made(&self) -> Option<Vec<u8>> {
        self.0.borrow().half_made.clone()
    }

    /// Tells of a problem, unless it is the end of all.
    pub(crate) fn go_on_after(&self, outcome: Result<(), Problem>) -> Result<(), Problem> {
        match outcome {
            Err(problem) if !problem.is_final() => self.problem(problem),
            outcome => return outcome,
        }
        Ok(())
    }

    /// Something was not copied, and the transfer goes on without it.
    pub fn problem(&self, problem: Problem) {
        let mut state = self.0.borrow_mut();
        state.met += 1;
        if state.problems.len() < WAITING {
            state.problems.push(problem);
        }
    }

    pub(crate) fn begin(&self, place: Place, size: Option<u64>) {
        self.0.borrow_mut().now = Some(Now { place, size, moved: 0 });
    }

    pub(crate) fn moved(&self, more: usize) {
        if let Some(now) = &mut self.0.borrow_mut().now {
            now.moved = now.moved.saturating_add(more as u64);
        }
    }

    pub(crate) fn set_half_made(&self, path: Option<Vec<u8>>) {
        self.0.borrow_mut().half_made = path;
    }
}
