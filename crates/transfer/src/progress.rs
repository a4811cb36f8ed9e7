//! What a transfer is at, for who shows it while it goes on, and what it met on the way.

use std::cell::RefCell;

use crate::error::{Location, TransferError};

/// So many errors wait to be shown; more are only counted. A guest may have one in each of a million names.
const WAITING: usize = 100;

/// The state of one or more transfers in a row.
#[derive(Debug, Default)]
pub struct TransferProgress(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    current: Option<CurrentFile>,
    /// Those that wait to be shown.
    errors: Vec<TransferError>,
    error_count: u64,
    partial: Option<Vec<u8>>,
}

/// The file that is being copied.
#[derive(Clone, Debug)]
pub struct CurrentFile {
    /// Which one.
    pub location: Location,
    /// Its length in bytes, as far as anybody knows.
    pub size: Option<u64>,
    /// So much of it is copied.
    pub moved: u64,
}

impl TransferProgress {
    /// What is being copied.
    #[must_use]
    pub fn current(&self) -> Option<CurrentFile> {
        self.0.borrow().current.clone()
    }

    /// The errors since the last call, or as many as were kept.
    #[must_use]
    pub fn take_errors(&self) -> Vec<TransferError> {
        std::mem::take(&mut self.0.borrow_mut().errors)
    }

    /// How many errors there were in all.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.0.borrow().error_count
    }

    /// The file in the guest that is to be removed if the transfer is given up now.
    #[must_use]
    pub fn partial(&self) -> Option<Vec<u8>> {
        self.0.borrow().partial.clone()
    }

    /// Records an error after which the transfer can go on; another one is given back.
    pub(crate) fn skip_failed(&self, outcome: Result<(), TransferError>) -> Result<(), TransferError> {
        match outcome {
            Err(error) if !error.is_final() => self.record(error),
            outcome => return outcome,
        }
        Ok(())
    }

    /// Something was not copied, and the transfer goes on without it.
    pub fn record(&self, error: TransferError) {
        let mut state = self.0.borrow_mut();
        state.error_count += 1;
        if state.errors.len() < WAITING {
            state.errors.push(error);
        }
    }

    pub(crate) fn begin(&self, location: Location, size: Option<u64>) {
        self.0.borrow_mut().current = Some(CurrentFile { location, size, moved: 0 });
    }

    pub(crate) fn moved(&self, more: usize) {
        if let Some(current) = &mut self.0.borrow_mut().current {
            current.moved = current.moved.saturating_add(more as u64);
        }
    }

    pub(crate) fn set_partial(&self, path: Option<Vec<u8>>) {
        self.0.borrow_mut().partial = path;
    }
}
