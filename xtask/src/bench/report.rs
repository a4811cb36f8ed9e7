//! Figures, their limits, and how both are shown.

use std::fs;
use std::thread::available_parallelism;

use serde_json::{Value, json};

use super::statistics::{Summary, ratios};

/// Something measured, beside its floor if it has one.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) unit: Unit,
    pub(super) ours: Vec<f64>,
    /// By turns, as `ours`; empty where there is none.
    pub(super) floor: Vec<f64>,
    pub(super) limits: Limits,
}

/// What the measurements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Bytes,
    PerSecond,
    BytesPerSecond,
    Count,
}

/// What a figure must keep, and what it aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limits {
    /// The ratio to the floor is at most that.
    RatioAtMost { must: f64, aim: f64 },
    /// The ratio to the floor is at least that.
    RatioAtLeast { must: f64, aim: f64 },
    /// The measurement itself is at most that; a floor is for the reader.
    AtMost { must: f64, aim: f64 },
}

/// What became of a figure. The order is that of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Ok,
    AimMissed,
    Failed,
}

impl Limits {
    /// What `value` comes to. What is not a number has kept nothing.
    fn judge(self, value: f64) -> Verdict {
        let (must, aim) = match self {
            Self::RatioAtMost { must, aim } | Self::AtMost { must, aim } => (value <= must, value <= aim),
            Self::RatioAtLeast { must, aim } => (value >= must, value >= aim),
        };
        match (must, aim) {
            (true, true) => Verdict::Ok,
            (true, false) => Verdict::AimMissed,
            (false, _) => Verdict::Failed,
        }
    }

    /// Both, as a table shows them.
    fn shown(self, unit: Unit) -> (String, String) {
        match self {
            Self::RatioAtMost { must, aim } => (format!("≤ {must:.2}"), format!("≤ {aim:.2}")),
            Self::RatioAtLeast { must, aim } => (format!("≥ {must:.2}"), format!("≥ {aim:.2}")),
            Self::AtMost { must, aim } => {
                (format!("≤ {}", unit.shown(must)), format!("≤ {}", unit.shown(aim)))
            }
        }
    }

    fn json(self) -> Value {
        let (of, bound, must, aim) = match self {
            Self::RatioAtMost { must, aim } => ("ratio", "at most", must, aim),
            Self::RatioAtLeast { must, aim } => ("ratio", "at least", must, aim),
            Self::AtMost { must, aim } => ("ours", "at most", must, aim),
        };
        json!({ "of": of, "bound": bound, "must": must, "aim": aim })
    }
}

impl Verdict {
    fn shown(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AimMissed => "aim missed",
            Self::Failed => "FAILED",
        }
    }
}

impl Unit {
    /// Three digits, with the unit of that size.
    fn shown(self, value: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Self::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
            Self::Bytes => &[(1024.0 * 1024.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
            Self::PerSecond => &[(1e3, "k/s"), (1.0, "/s")],
            Self::BytesPerSecond => &[(1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")],
            Self::Count => return format!("{value:.0}"),
        };
        let fits = steps.iter().find(|(step, _)| value >= *step).or(steps.last());
        let (step, name) = fits.copied().unwrap_or((1.0, ""));
        let value = value / step;
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        format!("{value:.digits$} {name}")
    }

    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::PerSecond => "calls per second",
            Self::BytesPerSecond => "bytes per second",
            Self::Count => "count",
        }
    }
}

impl Figure {
    fn ratio(&self) -> Option<Summary> {
        Summary::of(&ratios(&self.ours, &self.floor))
    }

    /// The figure that its limits are about.
    fn judged(&self) -> Option<Summary> {
        match self.limits {
            Limits::RatioAtMost { .. } | Limits::RatioAtLeast { .. } => self.ratio(),
            Limits::AtMost { .. } => Summary::of(&self.ours),
        }
    }

    /// Whether the limits are kept. What was not measured has kept none.
    pub(super) fn verdict(&self) -> Verdict {
        self.judged().map_or(Verdict::Failed, |summary| self.limits.judge(summary.median))
    }

    fn cells(&self) -> [String; 8] {
        let shown = |measured: &[f64]| {
            Summary::of(measured).map_or_else(String::new, |summary| self.unit.shown(summary.median))
        };
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{:.2}", ratio.median));
        let spread = self.judged().map_or_else(String::new, |judged| match self.limits {
            Limits::AtMost { .. } => {
                format!("{} … {}", self.unit.shown(judged.least), self.unit.shown(judged.most))
            }
            _ => format!("{:.2} … {:.2}", judged.least, judged.most),
        });
        let (must, aim) = self.limits.shown(self.unit);
        let verdict = self.verdict().shown().to_owned();
        [self.what.clone(), shown(&self.ours), shown(&self.floor), ratio, spread, must, aim, verdict]
    }

    fn json(&self) -> Value {
        let summary = |measured: &[f64]| Summary::of(measured).map(|summary| summary.json());
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "ours": summary(&self.ours),
            "floor": summary(&self.floor),
            "ratio": self.ratio().map(|ratio| ratio.json()),
            "limits": self.limits.json(),
            "verdict": self.verdict().shown(),
        })
    }
}

/// A whole run.
#[derive(Debug)]
pub(super) struct Report {
    quick: bool,
    /// The machine's load over the last minute when the run began, where the system tells.
    load: Option<f64>,
    pub(super) figures: Vec<Figure>,
    /// Groups that could not be measured here, and why.
    pub(super) skipped: Vec<String>,
}

impl Report {
    pub(super) fn begin(quick: bool) -> Self {
        let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = text.split_whitespace().next().and_then(|load| load.parse().ok());
        Self { quick, load, figures: Vec::new(), skipped: Vec::new() }
    }

    pub(super) fn table(&self) -> String {
        let header = ["what", "ours", "floor", "ratio", "from … to", "must", "aim", "verdict"];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(self.figures.iter().map(Figure::cells));
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
                cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            })
            .collect();
        lines.push("Medians; from … to is the spread of what the limits are about.".to_owned());
        lines.extend(self.skipped.iter().map(|skipped| format!("SKIPPED: {skipped}")));
        if self.quick {
            lines.push("A quick run: too little was measured to compare.".to_owned());
        }
        if let Some(load) = self.load.filter(|load| *load > 0.5) {
            lines.push(format!("The machine had other work (load {load:.1}): expect noise."));
        }
        lines.join("\n")
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "quick": self.quick,
            "cores": available_parallelism().map_or(1, usize::from),
            "load": self.load,
            "skipped": self.skipped,
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: &[f64], floor: &[f64], limits: Limits) -> Figure {
        let (ours, floor) = (ours.to_vec(), floor.to_vec());
        Figure { what: "a thing".to_owned(), unit: Unit::Seconds, ours, floor, limits }
    }

    #[test]
    fn limits_are_kept_up_to_their_very_end() {
        use Verdict::{AimMissed, Failed, Ok};
        let ratio = Limits::RatioAtMost { must: 1.15, aim: 1.05 };
        let rate = Limits::RatioAtLeast { must: 0.9, aim: 0.97 };
        let value = Limits::AtMost { must: 0.05, aim: 0.02 };
        for (limits, judged, verdict) in [
            (ratio, 0.5, Ok),
            (ratio, 1.05, Ok),
            (ratio, 1.06, AimMissed),
            (ratio, 1.15, AimMissed),
            (ratio, 1.16, Failed),
            (ratio, f64::NAN, Failed),
            (ratio, f64::INFINITY, Failed),
            (rate, 1.5, Ok),
            (rate, 0.97, Ok),
            (rate, 0.96, AimMissed),
            (rate, 0.9, AimMissed),
            (rate, 0.89, Failed),
            (rate, f64::NAN, Failed),
            (value, 0.02, Ok),
            (value, 0.03, AimMissed),
            (value, 0.051, Failed),
        ] {
            assert_eq!(limits.judge(judged), verdict, "{limits:?} {judged}");
        }
    }

    #[test]
    fn a_ratio_is_judged_by_its_median_over_turns() {
        let limits = Limits::RatioAtMost { must: 1.5, aim: 1.1 };
        // The ratio of the medians would be 2.
        let busy = figure(&[1.0, 20.0, 2.0], &[1.0, 20.0, 1.0], limits);
        assert_eq!(busy.verdict(), Verdict::Ok);
        assert_eq!(figure(&[3.0, 3.0, 3.0], &[2.0, 2.0, 2.0], limits).verdict(), Verdict::AimMissed);
        assert_eq!(figure(&[4.0, 4.0, 4.0], &[2.0, 2.0, 2.0], limits).verdict(), Verdict::Failed);
    }

    #[test]
    fn what_was_not_measured_has_failed() {
        assert_eq!(figure(&[], &[], Limits::AtMost { must: 1.0, aim: 1.0 }).verdict(), Verdict::Failed);
        let limits = Limits::RatioAtMost { must: 1.0, aim: 1.0 };
        assert_eq!(figure(&[0.5], &[], limits).verdict(), Verdict::Failed);
        assert_eq!(figure(&[0.0], &[0.0], limits).verdict(), Verdict::Failed);
    }

    #[test]
    fn a_floor_beside_a_limit_of_its_own_is_for_the_reader() {
        let limits = Limits::AtMost { must: 1.0, aim: 0.5 };
        assert_eq!(figure(&[0.4], &[0.001], limits).verdict(), Verdict::Ok);
    }

    #[test]
    fn values_have_three_digits_and_their_unit() {
        for (unit, value, shown) in [
            (Unit::Seconds, 1.5, "1.50 s"),
            (Unit::Seconds, 0.05, "50.0 ms"),
            (Unit::Seconds, 0.000_052_34, "52.3 µs"),
            (Unit::Seconds, 0.000_123, "123 µs"),
            (Unit::Seconds, 4e-8, "40.0 ns"),
            (Unit::Bytes, 14.0 * 1024.0 * 1024.0, "14.0 MiB"),
            (Unit::Bytes, 98_304.0, "96.0 KiB"),
            (Unit::Bytes, 0.0, "0.00 B"),
            (Unit::PerSecond, 23_456.0, "23.5 k/s"),
            (Unit::BytesPerSecond, 612_345_678.0, "612 MB/s"),
            (Unit::Count, 1234.0, "1234"),
        ] {
            assert_eq!(unit.shown(value), shown);
        }
    }

    #[test]
    fn the_table_tells_failures_and_missed_aims_apart() {
        let ratio = Limits::RatioAtMost { must: 1.15, aim: 1.05 };
        let figures = vec![
            figure(&[0.001, 0.0011, 0.0012], &[0.001, 0.001, 0.001], ratio),
            figure(&[0.07], &[], Limits::AtMost { must: 0.05, aim: 0.02 }),
        ];
        let report =
            Report { quick: true, load: Some(3.0), figures, skipped: vec!["launch: no QEMU".to_owned()] };
        let expected = "\
what     ours     floor    ratio  from … to          must       aim        verdict
a thing  1.10 ms  1.00 ms  1.10   1.00 … 1.20        ≤ 1.15     ≤ 1.05     aim missed
a thing  70.0 ms                  70.0 ms … 70.0 ms  ≤ 50.0 ms  ≤ 20.0 ms  FAILED
Medians; from … to is the spread of what the limits are about.
SKIPPED: launch: no QEMU
A quick run: too little was measured to compare.
The machine had other work (load 3.0): expect noise.";
        assert_eq!(report.table(), expected);
    }

    #[test]
    fn the_json_holds_each_figure_with_its_spread() {
        let figures = vec![figure(&[2.0, 4.0], &[1.0, 2.0], Limits::RatioAtMost { must: 1.0, aim: 1.0 })];
        let json = Report { quick: false, load: None, figures, skipped: Vec::new() }.json();
        assert_eq!(json["figures"][0]["ours"]["median"], 3.0);
        assert_eq!(json["figures"][0]["ratio"]["max"], 2.0);
        assert_eq!(json["figures"][0]["limits"]["must"], 1.0);
        assert_eq!(json["figures"][0]["verdict"], "FAILED");
    }
}
