//! The attempts of one source: when the next one may be evaluated, and whose it is.
//!
//! All of a source share its openings, and whoever asks without a pause would take each of them. So a wait that
//! is told is a promise: the opening is kept for the certificate that was told, and the next one to ask is told
//! of a later one. Certificates cost nothing; who shows more of them than openings can be reserved can still keep the
//! others of its own source out. What all sources together may do is not judged here.

use std::mem;
use std::time::{Duration, Instant};

use crate::Fingerprint;

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 3;
/// The wait after the first failure that is not free; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A source loses one failure for each such time without an attempt.
pub(super) const DECAY: Duration = Duration::from_secs(10 * 60);
/// Clients of a source that an opening is kept for.
pub(super) const MAX_RESERVATIONS: usize = 16;
/// For how long an opening is kept: people have to type the passphrase again.
const KEPT: Duration = Duration::from_secs(15);

/// What is remembered of a source.
#[derive(Debug)]
pub(super) struct SourceRecord {
    failures: u32,
    /// The opening that was used last. Its attempt may have come later, but not before.
    last: Instant,
    /// In the order of their times.
    reservations: Vec<Reservation>,
}

/// An opening that is kept for a client.
#[derive(Debug)]
struct Reservation {
    client: Fingerprint,
    at: Instant,
}

impl Reservation {
    fn is_kept(&self, now: Instant) -> bool {
        now < self.at + KEPT
    }
}

/// How long has to pass between a source's last attempt and the next, after so many failures.
fn penalty(failures: u32) -> Duration {
    let Some(exponent) = failures.checked_sub(FREE_FAILURES + 1) else { return Duration::ZERO };
    FIRST_WAIT.saturating_mul(1_u32.checked_shl(exponent).unwrap_or(u32::MAX)).min(LONGEST_WAIT)
}

impl SourceRecord {
    pub(super) fn new(now: Instant) -> Self {
        Self { failures: 0, last: now, reservations: Vec::new() }
    }

    /// Whether there is nothing to remember any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.failures_at(now) == 0 && !self.reservations.iter().any(|reservation| reservation.is_kept(now))
    }

    /// Counts an attempt of `client` as a failure, if it may be evaluated now. Nothing may before `earliest`.
    ///
    /// # Errors
    /// When it may be, which is the client's from now on if there is room for one more reservation. One that has one
    /// keeps it: asking again gets nobody a later one, nor a second.
    pub(super) fn attempt(
        &mut self,
        client: Fingerprint,
        now: Instant,
        earliest: Option<Instant>,
    ) -> Result<(), Instant> {
        self.reservations.retain(|reservation| reservation.is_kept(now));
        let own = self.reservations.iter().position(|reservation| reservation.client == client);
        let own = own.map(|index| self.reservations.remove(index).at);

        let (failures, earliest) = (self.failures_at(now), earliest.unwrap_or(self.last));
        let free = self.first_free(failures, earliest);
        let at = own.map_or(free, |own| free.min(own.max(earliest)));
        if at > now {
            if self.reservations.len() < MAX_RESERVATIONS {
                let index = self.reservations.partition_point(|reservation| reservation.at <= at);
                self.reservations.insert(index, Reservation { client, at });
            }
            return Err(at);
        }
        // Of the openings that are due the first one is used: whoever has it and is late has the next one then.
        let (due, mut opening) = (self.reservations.partition_point(|reservation| reservation.at <= at), at);
        for reservation in self.reservations.iter_mut().take(due).rev() {
            mem::swap(&mut reservation.at, &mut opening);
        }
        // Who comes late used the opening all the same: the next reservation keeps its time. Of several that nobody
        // used it is the last one; the others are lost.
        let next = self
            .reservations
            .first()
            .and_then(|next| next.at.checked_sub(penalty(failures.saturating_add(1))));
        self.last = next.map_or(now, |latest| latest.min(now)).max(self.last);
        self.failures = failures.saturating_add(1);
        Ok(())
    }

    /// Forgets the failures for an attempt at `at` that succeeded, but not what was promised.
    pub(super) fn forgive(&mut self, at: Instant) {
        // What was allowed before it and not used is over: there are free failures instead.
        (self.failures, self.last) = (0, at.max(self.last));
    }

    /// How many clients an opening is kept for.
    #[cfg(test)]
    pub(super) fn reservations(&self) -> usize {
        self.reservations.len()
    }

    /// Failures that still count at `now`.
    fn failures_at(&self, now: Instant) -> u32 {
        let periods = now.saturating_duration_since(self.last).as_secs() / DECAY.as_secs();
        self.failures.saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX))
    }

    /// The first opening that is nobody's, `earliest` or later, if each before it becomes a failure. It may be
    /// over already.
    fn first_free(&self, failures: u32, earliest: Instant) -> Instant {
        let (mut failures, mut before) = (failures, self.last);
        let mut behind = self.reservations.as_slice();
        loop {
            let opening = (before + penalty(failures)).max(earliest);
            failures = failures.saturating_add(1);
            let [next, rest @ ..] = behind else { return opening };
            if keep_their_times(behind, opening, failures) {
                return opening;
            }
            before = before.max(next.at);
            behind = rest;
        }
    }
}

/// Whether all `reservations` are far enough from an attempt at `opening`, and from each other, with so many failures
/// then.
fn keep_their_times(reservations: &[Reservation], opening: Instant, failures: u32) -> bool {
    let mut soonest = opening;
    reservations.iter().zip(failures..).all(|(reservation, failures)| {
        soonest += penalty(failures);
        let at = reservation.at.max(opening);
        let in_time = at >= soonest;
        soonest = at;
        in_time
    })
}
