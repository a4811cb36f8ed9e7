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
        let Some(exponent) = self.failures_at(now).checked_sub(FREE_FAILURES + 1) else {
            return Duration::ZERO;
        };
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn user(uid: u32) -> Channel {
        Channel::Local { uid, gid: uid, groups: [].into() }
    }

    fn address(text: &str) -> Channel {
        Channel::Remote(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn each_further_failure_waits_longer_up_to_a_minute() {
        let (guessing, mut now) = (Guessing::default(), Instant::now());
        for _ in 0..4 {
            guessing.begin(&user(1), now).unwrap();
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(guessing.begin(&user(1), now).unwrap_err(), SECOND * seconds);
            now += SECOND * seconds - Duration::from_millis(1);
            assert_eq!(guessing.begin(&user(1), now).unwrap_err(), Duration::from_millis(1));
            now += Duration::from_millis(1);
            guessing.begin(&user(1), now).unwrap();
        }
    }

    #[test]
    fn who_waits_is_not_punished_for_asking() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        for _ in 0..4 {
            guessing.begin(&user(1), now).unwrap();
        }
        for _ in 0..100 {
            assert_eq!(guessing.begin(&user(1), now).unwrap_err(), SECOND);
        }
        guessing.begin(&user(1), now + SECOND).unwrap();
    }

    #[test]
    fn success_clears_a_source_and_no_other() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        for _ in 0..4 {
            guessing.begin(&user(2), now).unwrap();
        }
        for _ in 0..20 {
            let attempts: Vec<_> = (0..2).map(|_| guessing.begin(&user(1), now).unwrap()).collect();
            guessing.forgive(&attempts[1]);
        }
        assert!(guessing.begin(&user(2), now).is_err());
    }

    #[test]
    fn failures_fade() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        for _ in 0..4 {
            guessing.begin(&user(1), now).unwrap();
        }
        // Of four failures two have faded: two more are free.
        let later = now + DECAY * 2;
        for _ in 0..2 {
            guessing.begin(&user(1), later).unwrap();
        }
        assert!(guessing.begin(&user(1), later).is_err());
    }

    /// What an attacker can choose freely does not make a new source.
    #[test]
    fn sources_are_what_an_attacker_cannot_choose() {
        for (one, other, same) in [
            (user(1), user(2), false),
            (user(1), Channel::Local { uid: 1, gid: 9, groups: [3].into() }, true),
            (address("192.0.2.1"), address("192.0.2.2"), false),
            (address("192.0.2.1"), address("::ffff:192.0.2.1"), true),
            (address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"), true),
            (address("2001:db8:0:1::1"), address("2001:db8:0:2::1"), false),
            (address("127.0.0.1"), address("127.9.8.7"), true),
            (address("127.0.0.1"), address("::1"), true),
            (address("127.0.0.1"), address("::ffff:127.0.0.2"), true),
            (address("127.0.0.1"), user(0), false),
        ] {
            assert_eq!(Source::of(&one) == Source::of(&other), same, "{one} {other}");
        }
    }

    #[test]
    fn many_sources_together_have_a_budget() {
        let (guessing, start) = (Guessing::default(), Instant::now());
        let evaluated_at = |now| (0..1000).filter(|uid| guessing.begin(&user(*uid), now).is_ok()).count();
        assert_eq!(evaluated_at(start), 60);
        assert_eq!(evaluated_at(start + SECOND * 59), 0);
        assert_eq!(guessing.begin(&user(2000), start + SECOND * 59).unwrap_err(), SECOND);
        assert_eq!(evaluated_at(start + SECOND * 60), 60);
    }

    #[test]
    fn the_table_is_bounded_and_the_rest_share_one_record() {
        let (guessing, mut now) = (Guessing::default(), Instant::now());
        for number in 0..u32::try_from(MAX_SOURCES).unwrap() + 500 {
            // At this pace the budget is never spent; nor does a failure fade in the meantime.
            now += Duration::from_millis(1001);
            let _ = guessing.begin(&user(number), now);
            let state = guessing.lock();
            assert!(state.sources.len() <= MAX_SOURCES + 1 && state.evaluated.len() <= BUDGET);
        }
    }

    #[test]
    fn sources_without_room_wait_for_each_other() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        {
            let mut state = guessing.lock();
            for number in 0..u32::try_from(MAX_SOURCES).unwrap() {
                state.sources.insert(Source::User(number), Record { failures: 1, last: now });
            }
        }
        let newcomers: Vec<_> = (0..4).map(|n| guessing.begin(&user(100_000 + n), now).unwrap()).collect();
        assert_eq!(guessing.begin(&user(200_000), now).unwrap_err(), SECOND);
        // Success of one says nothing of the others.
        guessing.forgive(&newcomers[0]);
        assert_eq!(guessing.begin(&user(200_000), now).unwrap_err(), SECOND);
        // A source with a record of its own is not held up by them.
        guessing.begin(&user(1), now).unwrap();
        // Once those have faded there is room again.
        guessing.begin(&user(200_000), now + DECAY).unwrap();
        assert!(guessing.lock().sources.contains_key(&Source::User(200_000)));
    }
}
