//! The rows of the matrix, as people and as programs read them.

use std::fmt;

use serde_json::{Value, json};

use super::cell::{Cell, Outcome};
use super::check::Check;
use super::features::FeatureSet;
use super::target::Target;

/// One target with one set of features, and what became of its checks. Those that it does not have are left out.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) target: Target,
    pub(super) features: FeatureSet,
    pub(super) cells: Vec<(Check, Cell)>,
}

/// How wide the columns are: the target, how it runs, the features, and each check.
const TARGET: usize = 27;
const HOW: usize = 12;
const FEATURES: usize = 15;
const CHECK: usize = 24;

impl Row {
    /// Why no further check makes sense, if one has failed.
    pub(super) fn broken(&self) -> Option<String> {
        let failed = self.cells.iter().find(|(_, cell)| matches!(cell.outcome, Outcome::Failed(_)));
        failed.map(|(check, _)| format!("{} failed", check.name()))
    }

    /// Why nothing at all was done.
    fn skipped(&self) -> Option<&Cell> {
        let mut cells = self.cells.iter().map(|(_, cell)| cell);
        cells.clone().all(|cell| matches!(cell.outcome, Outcome::Skipped(_))).then(|| cells.next()).flatten()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cell) = self.skipped() {
            return write!(f, "{} {cell}", title(&self.target, self.features));
        }
        let cells = Check::ALL.into_iter().map(|check| {
            let cell = self.cells.iter().find(|(of, _)| *of == check);
            let text = cell.map_or_else(|| "-".to_owned(), |(_, cell)| cell.to_string());
            format!(" {text:<CHECK$}")
        });
        let line = title(&self.target, self.features) + &cells.collect::<String>();
        f.write_str(line.trim_end())
    }
}

/// What a row is called.
pub(super) fn title(target: &Target, features: FeatureSet) -> String {
    let features = features.to_string();
    format!("{:<TARGET$}{:<HOW$}{features:<FEATURES$}", target.triple(), target.how())
}

pub(super) fn heading() -> String {
    let checks = Check::ALL.iter().map(|check| format!(" {:<CHECK$}", check.name())).collect::<String>();
    format!("{:<TARGET$}{:<HOW$}{:<FEATURES$}{checks}", "target", "how", "features").trim_end().to_owned()
}

pub(super) fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let cells = row.cells.iter().map(|(check, cell)| (check.name().to_owned(), cell.as_json()));
        json!({
            "target": row.target.triple(),
            "how": row.target.how().to_string(),
            "features": row.features.names(),
            "checks": cells.collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({ "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(cells: Vec<(Check, Cell)>) -> Row {
        let target = Target::all("x86_64-unknown-linux-gnu").unwrap().remove(2);
        Row { target, features: "tcp,unix".parse().unwrap(), cells }
    }

    #[test]
    fn passed_failed_skipped_and_what_is_no_check_of_the_row_are_told_apart() {
        let took = Duration::from_millis(1234);
        let row = row(vec![
            (Check::Clippy, Cell { outcome: Outcome::Passed { tests: Some(7), skipped: 2 }, took }),
            (Check::Build, Cell { outcome: Outcome::Failed("see the log".into()), took }),
            (Check::Tests, Cell::skipped("build failed".into())),
        ]);
        assert_eq!(
            row.to_string(),
            "aarch64-unknown-linux-gnu  qemu-user   unix,tcp        -                        passed 7, 2 skipped \
             1.2 s -                        FAILED 1.2 s             skipped: build failed"
        );
        assert_eq!(row.broken().as_deref(), Some("build failed"));
        assert_eq!(as_json(&[row])["rows"][0]["how"], "qemu-user");
    }

    #[test]
    fn a_row_of_which_nothing_was_done_says_why_once() {
        let skipped = || Cell::skipped("no std".into());
        let row = row(vec![(Check::Clippy, skipped()), (Check::Tests, skipped())]);
        assert_eq!(row.to_string(), "aarch64-unknown-linux-gnu  qemu-user   unix,tcp        skipped: no std");
        assert_eq!(row.broken(), None);
    }
}
