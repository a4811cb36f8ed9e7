//! A trusted client's calls while strangers guess the passphrase, beside those to a bare service that refuses
//! the same strangers.

use std::thread::available_parallelism;

use anyhow::ensure;
use e2e::{Daemon, DaemonOptions};

use super::{Bare, HOME, KIB, Stage, Turns, number};
use crate::bench::Pace;
use crate::bench::process::{Process, ask, on_processor, peak_memory, settled_memory};
use crate::bench::report::{Figure, Limits, Unit};

/// The processor of the service and the client whom it trusts, and that of the attackers: what those burn of
/// their own is not to be measured.
const SERVED: usize = 0;
const ATTACKING: usize = 1;
/// Attackers: each a process with one connection at a time.
const ATTACKERS: usize = 4;
/// The memory of one hash, in bytes; `crates/auth-core/src/passphrase/mod.rs` says why so much.
const HASH: f64 = 19_456.0 * KIB;

/// What came of one turn of an attack.
struct Siege {
    /// Of the trusted client's calls, in seconds.
    p99: f64,
    /// Guesses that were refused unheard in a second.
    refused: f64,
    /// Guesses that were evaluated.
    evaluated: f64,
}

impl Stage {
    pub(super) fn attack(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let processors = available_parallelism()?.get();
        ensure!(processors > ATTACKING, "this takes two processors, one of them for the attackers");
        // For a daemon that has ended before the measurement: setting it takes the memory of a guess.
        let daemon = self.start(HOME)?;
        self.set_passphrase()?;
        daemon.stop()?;

        let (mut list, mut refused, mut memory) = (Turns::default(), Turns::default(), Turns::default());
        let mut evaluated = 0.0;
        let (bare, daemon) = (self.start_served_bare()?, self.start_served()?);
        for _ in 0..pace.rounds {
            let (floor, ours) =
                (self.besiege(&bare.address, pace.attacked)?, self.besiege(daemon.address(), pace.attacked)?);
            list.floor.push(floor.p99);
            list.ours.push(ours.p99);
            refused.floor.push(floor.refused);
            refused.ours.push(ours.refused);
            evaluated += ours.evaluated;
        }
        drop(bare);
        daemon.stop()?;
        // The first guesses take most memory: those that cost no wait come together.
        for _ in 0..pace.outbreaks {
            let bare = self.start_served_bare()?;
            memory.floor.push(self.growth(bare.process.pid(), &bare.address, pace.seconds)?);
            drop(bare);
            let daemon = self.start_served()?;
            memory.ours.push(self.growth(daemon.pid(), daemon.address(), pace.seconds)?);
            daemon.stop()?;
        }
        let p99 = Limits::RatioAtMost { must: 2.0, aim: 1.3 };
        let rate = Limits::RatioAtLeast { must: 0.7, aim: 0.9 };
        let few = Limits::AtMost { must: 29.0, aim: 12.0 };
        let growth = Limits::AtMost { must: 2.0 * HASH, aim: 1.2 * HASH };
        Ok(vec![
            list.figure("attacked: list, 99th percentile", Unit::Seconds, p99),
            refused.figure("attacked: guesses refused unheard", Unit::PerSecond, rate),
            Turns { floor: vec![], ours: vec![evaluated] }.figure(
                "attacked: guesses evaluated in all turns",
                Unit::Count,
                few,
            ),
            memory.figure("attacked: memory added at its peak", Unit::Bytes, growth),
        ])
    }

    /// How the trusted client fares at `address` while strangers guess there.
    fn besiege(&self, address: &str, seconds: f64) -> anyhow::Result<Siege> {
        let start = |_| Process::start(&mut on_processor(ATTACKING, &self.load(address, HOME, &["attack"])));
        let mut attackers = (0..ATTACKERS).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        // When all have been refused the attack has begun, and the guesses that cost no wait are over.
        attackers.iter().try_for_each(|attacker| attacker.line().map(drop))?;
        let seconds = seconds.to_string();
        let warm = self.load(address, HOME, &["warm", "--connections", "1", "--seconds", &seconds]);
        let found = ask(&mut on_processor(SERVED, &warm))?;
        attackers.iter_mut().for_each(Process::stop);
        let mut siege = Siege { p99: number(&found, "p99")?, refused: 0.0, evaluated: 0.0 };
        for attacker in attackers {
            let (_, told) = attacker.line()?;
            siege.refused += number(&told, "per_second")?;
            siege.evaluated += number(&told, "evaluated")?;
            attacker.end()?;
        }
        Ok(siege)
    }

    /// By how much an attack makes the memory of a service grow that has just started, at its peak.
    fn growth(&self, pid: u32, address: &str, seconds: f64) -> anyhow::Result<f64> {
        let before = settled_memory(pid)?;
        self.besiege(address, seconds)?;
        Ok(peak_memory(pid)? - before)
    }

    fn start_served(&self) -> anyhow::Result<Daemon> {
        let options = DaemonOptions { processor: Some(SERVED), ..DaemonOptions::default() };
        Ok(Daemon::start(&self.sandbox, HOME, &options)?)
    }

    fn start_served_bare(&self) -> anyhow::Result<Bare> {
        self.start_bare(&mut on_processor(SERVED, &self.bare_service()))
    }
}
