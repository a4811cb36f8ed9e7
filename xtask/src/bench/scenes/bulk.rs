//! Many bytes through one stream.

use crate::bench::Pace;
use crate::bench::process::ask;
use crate::bench::report::{Figure, Limits, Unit};

use super::{Stage, Turns, numbers};

impl Stage {
    /// By QUIC, beside bare quinn: at least 0.7 of its throughput.
    pub(super) fn bulk(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let found = ask(self.program("bulk").args(["--rounds", &pace.rounds.to_string()]))?;
        let turns = Turns { floor: numbers(&found, "bare")?, ours: numbers(&found, "ours")? };
        let limits = Limits::RatioAtMost { must: 1.0 / 0.7, aim: 1.1 };
        Ok(vec![turns.figure("100 MB through a QUIC stream", Unit::Seconds, limits)])
    }
}
