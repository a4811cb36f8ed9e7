//! What became of one check of one row.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// The verdict, and how long it took.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// The verdict.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It went well; of tests, how many ran, and how many of those said that they could not.
    Passed { tests: Option<usize>, skipped: usize },
    /// It did not, and why.
    Failed(String),
    /// It was not done, and why.
    Skipped(String),
}

impl Cell {
    pub(super) fn skipped(why: String) -> Self {
        Self { outcome: Outcome::Skipped(why), took: Duration::ZERO }
    }

    pub(super) fn as_json(&self) -> Value {
        let seconds = (self.took.as_secs_f64() * 10.0).round() / 10.0;
        match &self.outcome {
            Outcome::Passed { tests, skipped } => {
                json!({ "outcome": "passed", "seconds": seconds, "tests": tests, "skipped": skipped })
            }
            Outcome::Failed(why) => json!({ "outcome": "failed", "seconds": seconds, "why": why }),
            Outcome::Skipped(why) => json!({ "outcome": "skipped", "why": why }),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match &self.outcome {
            Outcome::Passed { tests: None, .. } => write!(f, "passed {seconds:.1} s"),
            Outcome::Passed { tests: Some(tests), skipped: 0 } => write!(f, "passed {tests} {seconds:.1} s"),
            Outcome::Passed { tests: Some(tests), skipped } => {
                write!(f, "passed {tests}, {skipped} skipped {seconds:.1} s")
            }
            Outcome::Failed(_) => write!(f, "FAILED {seconds:.1} s"),
            Outcome::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}
