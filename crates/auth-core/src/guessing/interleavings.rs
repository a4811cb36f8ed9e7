//! Whatever the order in which clients of a source come: who waits as it was told has its turn, and together
//! they have no more guesses evaluated than if there were no reservations at all.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::record::MAX_RESERVATIONS;
use super::tests::{client, user};
use super::{BUDGET, BUDGET_PERIOD, GuessLimiter};

const SECOND: Duration = Duration::from_secs(1);
/// Late, but within the time for which a reservation is kept.
const LATEST: Duration = Duration::from_millis(14_999);
/// The client who waits as it is told.
const HONEST: u32 = 0;

/// What happens next, some time after what happened before.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One attacker tries.
    One(u32),
    /// All attackers try, this one first.
    All(u32),
    /// An attacker tries who happens to know the passphrase.
    Knowing(u32),
    /// The honest client tries, if it waits for nothing.
    Honest { late: Duration, knows: bool },
    /// The honest client tries though it was told to wait.
    TooEarly,
}

fn steps() -> impl Strategy<Value = Vec<(Duration, Step)>> {
    let pause = prop_oneof![
        4 => 0..3u64,
        4 => 0..3_000u64,
        2 => 0..70_000u64,
        1 => 0..1_500_000u64,
    ];
    let attacker = 1..MAX_RESERVATIONS as u32;
    let late = prop_oneof![Just(Duration::ZERO), Just(LATEST), (0..1_500u64).prop_map(Duration::from_millis)];
    let step = prop_oneof![
        8 => attacker.clone().prop_map(Step::One),
        8 => attacker.clone().prop_map(Step::All),
        1 => attacker.prop_map(Step::Knowing),
        6 => (late, prop::bool::weighted(0.1)).prop_map(|(late, knows)| Step::Honest { late, knows }),
        2 => Just(Step::TooEarly),
    ];
    prop::collection::vec((pause.prop_map(Duration::from_millis), step), 1..200)
}

/// Somebody who tries as soon as a source may, where there are no reservations: the most that can be evaluated.
struct Greedy {
    evaluated: usize,
    failures: usize,
    next: Instant,
}

impl Greedy {
    fn evaluated_by(&mut self, now: Instant) -> usize {
        while self.next <= now {
            self.evaluated += 1;
            self.failures += 1;
            let penalties = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32];
            self.next += SECOND * penalties.get(self.failures).copied().unwrap_or(60);
        }
        self.evaluated
    }

    fn forgive(&mut self, now: Instant) {
        self.evaluated_by(now);
        (self.failures, self.next) = (0, now);
    }
}

/// What the honest client waits for.
#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    late: Duration,
    knows: bool,
}

struct World {
    guessing: GuessLimiter,
    attackers: u32,
    greedy: Greedy,
    evaluated: Vec<Instant>,
    told: Option<Told>,
}

impl World {
    fn new(attackers: u32, now: Instant) -> Self {
        let greedy = Greedy { evaluated: 0, failures: 0, next: now };
        Self { guessing: GuessLimiter::default(), attackers, greedy, evaluated: Vec::new(), told: None }
    }

    /// When the budget of the last minute allows another one.
    fn budget_opens(&self, now: Instant) -> Option<Instant> {
        let since = self.evaluated.iter().rev().nth(BUDGET - 1)?;
        Some(*since + BUDGET_PERIOD).filter(|opens| *opens > now)
    }

    fn attempt(&mut self, number: u32, knows: bool, now: Instant) -> Result<(), Duration> {
        let budget = self.budget_opens(now);
        let result = self.guessing.begin(&user(1), client(number), now);
        let reservations = self.guessing.lock().sources.values().map(|record| record.reservations()).max();
        assert!(reservations <= Some(MAX_RESERVATIONS));
        match result {
            Ok(attempt) => {
                assert_eq!(budget, None, "more than the budget");
                self.evaluated.push(now);
                let most = self.greedy.evaluated_by(now);
                assert!(self.evaluated.len() <= most, "{} evaluated for {most}", self.evaluated.len());
                if knows {
                    self.guessing.forgive(&attempt);
                    self.greedy.forgive(now);
                }
                Ok(())
            }
            Err(wait) => {
                assert!(!wait.is_zero() && wait < SECOND * 60 * 19, "{wait:?}");
                Err(wait)
            }
        }
    }

    fn all(&mut self, first: u32, now: Instant) {
        for number in 0..self.attackers {
            let _ = self.attempt(1 + (first + number) % self.attackers, false, now);
        }
    }

    /// What comes of the honest client's waiting from `before` until `now`. The attackers try just before it
    /// does.
    fn wait_until(&mut self, before: Instant, now: Instant) {
        while let Some(Told { at, late, knows }) = self.told.filter(|told| told.at + told.late <= now) {
            if at > before {
                self.all(0, at);
            }
            self.all(1, at + late);
            let budget = self.budget_opens(at + late);
            match self.attempt(HONEST, knows, at + late) {
                Ok(()) => self.told = None,
                Err(wait) => {
                    assert_eq!(Some(at + late + wait), budget, "not evaluated after the wait that was told");
                    self.told = Some(Told { at: at + late + wait, late, knows });
                }
            }
        }
    }

    fn step(&mut self, step: Step, now: Instant) {
        let attacker = |number: u32| 1 + number % self.attackers;
        match step {
            Step::One(number) => drop(self.attempt(attacker(number), false, now)),
            Step::All(first) => self.all(first, now),
            Step::Knowing(number) => drop(self.attempt(attacker(number), true, now)),
            Step::Honest { late, knows } => {
                if self.told.is_none() {
                    let answer = self.attempt(HONEST, knows, now);
                    self.told = answer.err().map(|wait| Told { at: now + wait, late, knows });
                }
            }
            Step::TooEarly => {
                let Some(told) = self.told.filter(|told| told.at > now) else { return };
                let budget = self.budget_opens(now);
                self.told = self.attempt(HONEST, told.knows, now).err().map(|wait| {
                    let at = now + wait;
                    assert!(at <= told.at || Some(at) == budget, "a later place for having come early");
                    Told { at, ..told }
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn who_waits_as_told_has_its_turn_and_attackers_gain_nothing(
        attackers in 1..MAX_RESERVATIONS as u32, steps in steps(),
    ) {
        let mut now = Instant::now();
        let mut world = World::new(attackers, now);
        for (pause, step) in steps {
            // What was waited for may come during the pause.
            world.wait_until(now, now + pause);
            now += pause;
            world.step(step, now);
        }
        // Nobody waits for ever.
        world.wait_until(now, now + SECOND * 60 * 60);
        prop_assert!(world.told.is_none());
    }
}
