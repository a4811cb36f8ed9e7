//! `cargo xtask test-matrix`: every set of features, each built, linted and tested by itself, in a table that
//! grows while it runs.
//!
//! A cell says *passed*, *failed* or *skipped: why*; a skip is never a pass, and only failures fail the task.

mod cell;
mod check;
mod features;
mod nextest;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use self::cell::{Cell, Outcome};
use self::check::Check;
use self::features::FeatureSet;
use crate::workspace::Workspace;

/// What to run of the matrix.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Say which rows there are, and run nothing.
    #[arg(long)]
    list: bool,
    /// Lint each row and check what it links, and leave out its tests; what CI runs.
    #[arg(long)]
    quick: bool,
    /// Run this row alone, as in 'unix,tcp'; may be repeated.
    #[arg(long, value_name = "FEATURES")]
    features: Vec<FeatureSet>,
    /// Write the table to a file, too, in JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    /// The whole matrix, quickly.
    pub(crate) fn quick() -> Self {
        Self { list: false, quick: true, features: Vec::new(), json: None }
    }
}

/// One set of features and what became of its checks.
#[derive(Debug)]
struct Row {
    features: FeatureSet,
    cells: Vec<(Check, Cell)>,
}

/// Runs the matrix, or what was asked for of it.
///
/// # Errors
/// A cell failed, or the table cannot be written.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let rows = if options.features.is_empty() { FeatureSet::all() } else { options.features.clone() };
    if options.list {
        rows.iter().for_each(|row| println!("{row}"));
        return Ok(());
    }
    let checks: Vec<Check> =
        Check::ALL.into_iter().filter(|check| check.is_quick() || !options.quick).collect();
    let logs = workspace.target("test-matrix");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    println!("on this machine, natively; what each check printed is in {}", logs.display());
    println!("{}", heading(&checks));
    let mut done = Vec::new();
    for features in rows {
        let mut row = Row { features, cells: Vec::new() };
        for &check in &checks {
            let broken = row.cells.iter().find(|(_, cell)| matches!(cell.outcome, Outcome::Failed(_)));
            let cell = match broken {
                Some((before, _)) => Cell::skipped(format!("{} failed", before.name())),
                None => {
                    let started = Instant::now();
                    let log = logs.join(format!("{features}-{}.log", check.name()));
                    Cell { outcome: check.perform(workspace, features, &log), took: started.elapsed() }
                }
            };
            row.cells.push((check, cell));
        }
        println!("{}", line(&row));
        done.push(row);
    }
    for (row, check, why) in failures(&done) {
        eprintln!("{} {}: {why}", row.features, check.name());
    }
    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", as_json(&done)))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    match failures(&done).count() {
        0 => Ok(()),
        count => bail!("{count} cells of the matrix failed"),
    }
}

fn failures(rows: &[Row]) -> impl Iterator<Item = (&Row, Check, &str)> {
    rows.iter().flat_map(|row| {
        row.cells.iter().filter_map(move |(check, cell)| match &cell.outcome {
            Outcome::Failed(why) => Some((row, *check, why.as_str())),
            _ => None,
        })
    })
}

/// How wide the first column is, and each of the others.
const FIRST: usize = 15;
const OTHERS: usize = 24;

fn heading(checks: &[Check]) -> String {
    let others = checks.iter().map(|check| format!("{:<OTHERS$}", check.name())).collect::<String>();
    format!("{:<FIRST$}{others}", "features").trim_end().to_owned()
}

fn line(row: &Row) -> String {
    let others =
        row.cells.iter().map(|(_, cell)| format!("{:<OTHERS$}", cell.to_string())).collect::<String>();
    format!("{:<FIRST$}{others}", row.features.to_string()).trim_end().to_owned()
}

fn as_json(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        let cells = row.cells.iter().map(|(check, cell)| (check.name().to_owned(), cell.as_json()));
        json!({
            "target": "host",
            "how": "native",
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

    #[test]
    fn the_table_tells_passed_failed_and_skipped_apart() {
        let took = Duration::from_millis(1234);
        let row = Row {
            features: "tcp,unix".parse().unwrap(),
            cells: vec![
                (Check::Linked, Cell { outcome: Outcome::Passed { tests: None, skipped: 0 }, took }),
                (Check::Clippy, Cell { outcome: Outcome::Passed { tests: Some(7), skipped: 2 }, took }),
                (Check::Build, Cell { outcome: Outcome::Failed("see the log".into()), took }),
                (Check::Tests, Cell::skipped("build failed".into())),
            ],
        };
        assert_eq!(
            line(&row),
            "unix,tcp       passed 1.2 s            passed 7, 2 skipped 1.2 sFAILED 1.2 s            \
             skipped: build failed"
        );
        assert_eq!(
            failures(&[row]).map(|(_, check, why)| (check.name(), why)).collect::<Vec<_>>(),
            [("build", "see the log")]
        );
    }
}
