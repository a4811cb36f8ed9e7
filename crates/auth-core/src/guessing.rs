//! Slowing down who guesses the passphrase.
//!
//! Each attempt is counted as a failure before it is evaluated, and forgiven if it succeeds: a guesser who
//! leaves before the answer has been counted. A source has a few free failures; then it waits, longer each
//! time. A global budget bounds what many sources together can have evaluated. Time is passed in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Channel, Source};

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 3;
/// The wait after the first failure that is not free; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A source loses one failure for each such time without an attempt.
const DECAY: Duration = Duration::from_secs(10 * 60);
/// Attempts evaluated in any [`BUDGET_PERIOD`], of all sources together.
const BUDGET: usize = 60;
const BUDGET_PERIOD: Duration = Duration::from_secs(60);
/// Sources remembered one by one; all further ones share one record.
const MAX_SOURCES: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    /// Failures that still count at `now`.
    fn failures_at(&self, now: Instant) -> u32 {
        let periods = now.saturating_duration_since(self.last).as_secs() / DECAY.as_secs();
        self.failures.saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX))
    }

    /// How long this source still has to wait at `now`.
    fn wait(&self, now: Instant) -> Duration {
        let Some(exponent) = self.failures_at(now).checked_sub(FREE_FAILURES) else { return Duration::ZERO };
        let penalty =
            FIRST_WAIT.saturating_mul(1_u32.checked_shl(exponent).unwrap_or(u32::MAX)).min(LONGEST_WAIT);
        (self.last + penalty).saturating_duration_since(now)
    }
}

/// Counts attempts. Bounded in memory whatever the number of sources.
#[derive(Debug, Default)]
pub(crate) struct Guessing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sources: HashMap<Source, Record>,
    /// When the attempts of the last period were evaluated, oldest first.
    evaluated: VecDeque<Instant>,
}

/// An attempt that may be evaluated, and is counted as a failure until it is forgiven.
#[derive(Debug)]
pub(crate) struct Attempt {
    source: Source,
}

impl Guessing {
    /// Counts an attempt from `channel`, if one may be evaluated now.
    ///
    /// # Errors
    /// How long the caller has to wait. Such an attempt is not counted, so that waiting helps.
    pub(crate) fn begin(&self, channel: &Channel, now: Instant) -> Result<Attempt, Duration> {
        let mut state = self.lock();
        let source = state.known(Source::of(channel), now);
        if let Some(wait) = state.sources.get(&source).map(|record| record.wait(now)).filter(|w| !w.is_zero())
        {
            return Err(wait);
        }
        while state.evaluated.front().is_some_and(|at| now.saturating_duration_since(*at) >= BUDGET_PERIOD) {
            state.evaluated.pop_front();
        }
        if state.evaluated.len() >= BUDGET
            && let Some(oldest) = state.evaluated.front()
        {
            return Err((*oldest + BUDGET_PERIOD).saturating_duration_since(now));
        }
        state.evaluated.push_back(now);
        let record = state.sources.entry(source).or_insert(Record { failures: 0, last: now });
        *record = Record { failures: record.failures_at(now).saturating_add(1), last: now };
        Ok(Attempt { source })
    }

    /// The attempt succeeded: its source is a person who knows the passphrase.
    pub(crate) fn forgive(&self, attempt: &Attempt) {
        // What all that do not fit share is not one person's to clear.
        if attempt.source != Source::Others {
            self.lock().sources.remove(&attempt.source);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The record to use for `source`: its own, or the one for all others if the table is full.
    fn known(&mut self, source: Source, now: Instant) -> Source {
        if self.sources.contains_key(&source) || self.sources.len() < MAX_SOURCES {
            return source;
        }
        self.sources.retain(|_, record| record.failures_at(now) > 0);
        if self.sources.len() < MAX_SOURCES { source } else { Source::Others }
    }
}
