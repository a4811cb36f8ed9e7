//! Slowing down who guesses the passphrase.
//!
//! Each attempt is counted as a failure before it is evaluated, and forgiven if it succeeds: a guesser who
//! leaves before the answer has been counted. A source has a few free failures; then it waits, longer each
//! time, and who waits as long as it was told has its turn, see [`record`]. A global budget bounds what many
//! sources together can have evaluated; its openings are whose who comes first. Time is passed in.

mod record;

#[cfg(test)]
mod interleavings;

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Channel, Fingerprint, Source};
use record::SourceRecord;

/// Attempts evaluated in any [`BUDGET_PERIOD`], of all sources together.
const BUDGET: usize = 60;
const BUDGET_PERIOD: Duration = Duration::from_secs(60);
/// Sources remembered one by one; all further ones share one record.
const MAX_SOURCES: usize = 4096;

/// Counts attempts. Bounded in memory whatever the number of sources and clients.
#[derive(Debug, Default)]
pub(crate) struct GuessLimiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sources: HashMap<Source, SourceRecord>,
    /// When the attempts of the last period were evaluated, oldest first.
    evaluated: VecDeque<Instant>,
}

/// An attempt that may be evaluated, and is counted as a failure until it is forgiven.
#[derive(Debug)]
pub(crate) struct Attempt {
    source: Source,
    at: Instant,
}

impl GuessLimiter {
    /// Counts an attempt of `client` from `channel`, if one may be evaluated now.
    ///
    /// # Errors
    /// How long the client has to wait. Such an attempt is not counted, and the opening after that wait is kept
    /// for the client: waiting helps.
    pub(crate) fn begin(
        &self,
        channel: &Channel,
        client: Fingerprint,
        now: Instant,
    ) -> Result<Attempt, Duration> {
        let mut state = self.lock();
        let source = state.known(Source::of(channel), now);
        let budget = state.budget_opens(now);
        let wait = |until: Instant| until.saturating_duration_since(now);
        match (state.sources.entry(source), budget) {
            // Only what is evaluated makes a record: refusals are too cheap to fill the table with.
            (Entry::Vacant(_), Some(opening)) => return Err(wait(opening)),
            (entry, budget) => {
                entry.or_insert_with(|| SourceRecord::new(now)).attempt(client, now, budget).map_err(wait)?;
            }
        }
        state.evaluated.push_back(now);
        Ok(Attempt { source, at: now })
    }

    /// The attempt succeeded: its source is a person who knows the passphrase.
    pub(crate) fn forgive(&self, attempt: &Attempt) {
        // What all that do not fit share is not one person's to clear.
        if attempt.source == Source::Others {
            return;
        }
        if let Some(record) = self.lock().sources.get_mut(&attempt.source) {
            record.forgive(attempt.at);
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
        self.sources.retain(|_, record| !record.is_over(now));
        if self.sources.len() < MAX_SOURCES { source } else { Source::Others }
    }

    /// When the budget allows the next attempt to be evaluated, unless it does now.
    fn budget_opens(&mut self, now: Instant) -> Option<Instant> {
        while self.evaluated.front().is_some_and(|at| now.saturating_duration_since(*at) >= BUDGET_PERIOD) {
            self.evaluated.pop_front();
        }
        let oldest = self.evaluated.front().filter(|_| self.evaluated.len() >= BUDGET)?;
        Some(*oldest + BUDGET_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::record::{DECAY, MAX_RESERVATIONS};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The certificate of that number.
    pub(super) fn client(number: u32) -> Fingerprint {
        format!("{number:064x}").parse().unwrap()
    }

    impl GuessLimiter {
        /// An attempt of client 0 as that user.
        fn begin_as(&self, uid: u32, now: Instant) -> Result<Attempt, Duration> {
            self.begin(&user(uid), client(0), now)
        }

        /// An attempt of that client as user 1.
        fn begin_by(&self, number: u32, now: Instant) -> Result<Attempt, Duration> {
            self.begin(&user(1), client(number), now)
        }

        /// Four failures of user 1, which are all that cost no wait.
        fn after_four_failures(now: Instant) -> Self {
            let guessing = Self::default();
            for _ in 0..4 {
                guessing.begin_by(0, now).unwrap();
            }
            guessing
        }
    }

    pub(super) fn user(uid: u32) -> Channel {
        Channel::Local { uid, gid: uid, groups: [].into() }
    }

    fn address(text: &str) -> Channel {
        Channel::Remote(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn each_further_failure_waits_longer_up_to_a_minute() {
        let mut now = Instant::now();
        let guessing = GuessLimiter::after_four_failures(now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(guessing.begin_as(1, now).unwrap_err(), SECOND * seconds);
            now += SECOND * seconds - Duration::from_millis(1);
            assert_eq!(guessing.begin_as(1, now).unwrap_err(), Duration::from_millis(1));
            now += Duration::from_millis(1);
            guessing.begin_as(1, now).unwrap();
        }
    }

    #[test]
    fn who_waits_is_not_punished_for_asking() {
        let now = Instant::now();
        let guessing = GuessLimiter::after_four_failures(now);
        for _ in 0..100 {
            assert_eq!(guessing.begin_as(1, now).unwrap_err(), SECOND);
        }
        guessing.begin_as(1, now + SECOND).unwrap();
    }

    #[test]
    fn each_client_of_a_source_is_told_of_an_opening_of_its_own() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        // As if each before it failed: after one second, two more, four more.
        let told = [1, 3, 7, 15, 31, 63, 123, 183];
        for (number, seconds) in (1..).zip(told) {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        // In another order, and as often as they like: everybody has the one reservation.
        for (number, seconds) in (1..).zip(told).collect::<Vec<_>>().into_iter().rev().cycle().take(80) {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        for (number, seconds) in (1..).zip(told) {
            let at = start + SECOND * seconds;
            // The last has a reservation of its own to come.
            assert!(guessing.begin_by(8, at - SECOND).is_err());
            assert!(guessing.begin_by(99, at).is_err());
            guessing.begin_by(number, at).unwrap();
            assert!(number == 8 || guessing.begin_by(8, at).is_err());
        }
    }

    #[test]
    fn an_opening_is_kept_for_a_while_and_then_anybodys() {
        for (late, is_kept) in [(0, true), (14_999, true), (15_000, false)] {
            let start = Instant::now();
            let guessing = GuessLimiter::after_four_failures(start);
            assert_eq!(guessing.begin_by(1, start).unwrap_err(), SECOND);
            let now = start + SECOND + Duration::from_millis(late);
            for number in 2..10 {
                let _ = guessing.begin_by(number, now);
            }
            assert_eq!(guessing.begin_by(1, now).is_ok(), is_kept, "{late} ms late");
        }
    }

    #[test]
    fn who_comes_late_takes_nobody_elses_time() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        for (number, seconds) in [(1, 1), (2, 3), (3, 7)] {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        guessing.begin_by(1, start + SECOND * 6).unwrap();
        guessing.begin_by(3, start + SECOND * 7).unwrap();
        guessing.begin_by(2, start + SECOND * 8).unwrap();
        // That was the seventh failure.
        assert_eq!(guessing.begin_by(4, start + SECOND * 8).unwrap_err(), SECOND * 8);
    }

    #[test]
    fn openings_are_used_in_their_order_whoever_is_late() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        for (number, seconds) in [(1, 1), (2, 3), (3, 7)] {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        // The other two are still to use those at three and seven seconds; the next is at fifteen.
        guessing.begin_by(3, start + SECOND * 14).unwrap();
        assert_eq!(guessing.begin_by(4, start + SECOND * 14).unwrap_err(), SECOND);
    }

    #[test]
    fn openings_that_nobody_used_are_not_saved_up() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        for number in 1..=8 {
            guessing.begin_by(number, start).unwrap_err();
        }
        // The last reservation, at 183 s, is still to come; all before it are over.
        let now = start + SECOND * 150;
        let evaluated: Vec<u32> = (20..40).filter(|number| guessing.begin_by(*number, now).is_ok()).collect();
        assert_eq!(evaluated, [20]);
        guessing.begin_by(8, start + SECOND * 183).unwrap();
    }

    #[test]
    fn the_reservations_of_a_source_are_bounded() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        let reservations = u32::try_from(MAX_RESERVATIONS).unwrap();
        let told: Vec<Duration> =
            (1..=reservations).map(|number| guessing.begin_by(number, start).unwrap_err()).collect();
        assert!(told.is_sorted() && told.last() == Some(&(SECOND * 663)), "{told:?}");
        // All others are told of the opening after the last reservation, which is nobody's.
        for number in 100..1000 {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * 723);
        }
        guessing.begin_by(1, start + SECOND).unwrap();
        assert_eq!(guessing.begin_by(100, start + SECOND).unwrap_err(), SECOND * 722);
        assert_eq!(guessing.begin_by(101, start + SECOND).unwrap_err(), SECOND * 782);
    }

    #[test]
    fn success_breaks_no_promise() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        for (number, seconds) in [(1, 1), (2, 3), (3, 7)] {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        let right = guessing.begin_by(1, start + SECOND).unwrap();
        guessing.forgive(&right);
        // Failures are free again, as far as they leave its time to each reservation.
        let free = (0..20).filter(|_| guessing.begin_by(0, start + SECOND).is_ok()).count();
        assert_eq!(free, 4);
        assert_eq!(guessing.begin_by(0, start + SECOND * 2).unwrap_err(), SECOND * 9);
        guessing.begin_by(2, start + SECOND * 3).unwrap();
        guessing.begin_by(3, start + SECOND * 7).unwrap();
    }

    #[test]
    fn who_is_late_has_one_of_the_free_failures_after_success() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        for (number, seconds) in [(1, 1), (2, 3), (3, 7)] {
            assert_eq!(guessing.begin_by(number, start).unwrap_err(), SECOND * seconds);
        }
        let now = start + SECOND * 10;
        let right = guessing.begin_by(1, now).unwrap();
        guessing.forgive(&right);
        assert_eq!((0..20).filter(|_| guessing.begin_by(0, now).is_ok()).count(), 2);
        guessing.begin_by(2, now).unwrap();
        guessing.begin_by(3, now).unwrap();
        assert!(guessing.begin_by(3, now).is_err());
    }

    #[test]
    fn a_reservation_outlives_a_spent_budget() {
        let start = Instant::now();
        let guessing = GuessLimiter::after_four_failures(start);
        assert_eq!(guessing.begin_by(1, start).unwrap_err(), SECOND);
        let spent = (100..1000).filter(|uid| guessing.begin_as(*uid, start).is_ok()).count();
        assert_eq!(spent, 56);
        // The larger wait is told, to who comes too early and to who comes in time.
        for (after, seconds) in [(0, 60), (1, 59), (50, 10)] {
            assert_eq!(guessing.begin_by(1, start + SECOND * after).unwrap_err(), SECOND * seconds);
        }
        // It takes nothing from others either.
        assert_eq!(guessing.begin_by(2, start + SECOND * 50).unwrap_err(), SECOND * 12);
        assert_eq!(guessing.begin_by(3, start + SECOND * 62).unwrap_err(), SECOND * 4);
        guessing.begin_by(1, start + SECOND * 74).unwrap();
        guessing.begin_by(2, start + SECOND * 75).unwrap();
    }

    #[test]
    fn success_clears_a_source_and_no_other() {
        let (guessing, now) = (GuessLimiter::default(), Instant::now());
        for _ in 0..4 {
            guessing.begin_as(2, now).unwrap();
        }
        for _ in 0..20 {
            let attempts: Vec<_> = (0..2).map(|_| guessing.begin_as(1, now).unwrap()).collect();
            guessing.forgive(&attempts[1]);
        }
        assert!(guessing.begin_as(2, now).is_err());
    }

    #[test]
    fn failures_fade() {
        let now = Instant::now();
        let guessing = GuessLimiter::after_four_failures(now);
        // Of four failures two have faded: two more are free.
        let later = now + DECAY * 2;
        for _ in 0..2 {
            guessing.begin_as(1, later).unwrap();
        }
        assert!(guessing.begin_as(1, later).is_err());
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
        let (guessing, start) = (GuessLimiter::default(), Instant::now());
        let evaluated_at = |now| (0..1000).filter(|uid| guessing.begin_as(*uid, now).is_ok()).count();
        assert_eq!(evaluated_at(start), 60);
        assert_eq!(evaluated_at(start + SECOND * 59), 0);
        assert_eq!(guessing.begin_as(2000, start + SECOND * 59).unwrap_err(), SECOND);
        assert_eq!(evaluated_at(start + SECOND * 60), 60);
    }

    #[test]
    fn the_table_is_bounded_and_the_rest_share_one_record() {
        let (guessing, mut now) = (GuessLimiter::default(), Instant::now());
        for number in 0..u32::try_from(MAX_SOURCES).unwrap() + 500 {
            // At this pace the budget is never spent; nor does a failure fade in the meantime.
            now += Duration::from_millis(1001);
            let _ = guessing.begin_as(number, now);
            let state = guessing.lock();
            assert!(state.sources.len() <= MAX_SOURCES + 1 && state.evaluated.len() <= BUDGET);
        }
    }

    #[test]
    fn sources_without_room_wait_for_each_other() {
        let (guessing, now) = (GuessLimiter::default(), Instant::now());
        {
            let mut state = guessing.lock();
            for number in 0..u32::try_from(MAX_SOURCES).unwrap() {
                let mut record = SourceRecord::new(now);
                record.attempt(client(0), now, None).unwrap();
                state.sources.insert(Source::User(number), record);
            }
        }
        let newcomers: Vec<_> = (0..4).map(|n| guessing.begin_as(100_000 + n, now).unwrap()).collect();
        assert_eq!(guessing.begin_as(200_000, now).unwrap_err(), SECOND);
        // Success of one says nothing of the others.
        guessing.forgive(&newcomers[0]);
        assert_eq!(guessing.begin_as(200_000, now).unwrap_err(), SECOND);
        // A source with a record of its own is not held up by them.
        guessing.begin_as(1, now).unwrap();
        // Once those have faded there is room again.
        guessing.begin_as(200_000, now + DECAY).unwrap();
        assert!(guessing.lock().sources.contains_key(&Source::User(200_000)));
    }
}
