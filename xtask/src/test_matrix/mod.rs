//! `cargo xtask test-matrix`: every set of features on every target, each built, linted and tested by itself, in a
//! table that grows while it runs. A set without a transport, as Unix sockets alone on Windows, is no row.
//!
//! A cell says *passed*, *failed* or *skipped: why*; a skip is never a pass. Failures fail the task, and in CI skips
//! do: it is set up to run everything.

mod bare;
mod cell;
mod check;
mod features;
mod nextest;
mod table;
mod target;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Args;

use self::cell::{Cell, Outcome};
use self::check::{Check, Depth, Place};
use self::features::FeatureSet;
use self::table::Row;
use self::target::{Target, Tools};
use crate::skips::Policy;
use crate::tools;
use crate::workspace::Workspace;

/// What to run of the matrix.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Say which rows there are, and run nothing.
    #[arg(long)]
    list: bool,
    /// Lint each row and check what it links, and leave out its tests; what CI runs, for this machine's own target.
    /// The programs' tests are linted with one transport at a time, and the daemon without a driver with one set.
    #[arg(long)]
    quick: bool,
    /// Run this target's rows alone, as in 'aarch64-unknown-linux-gnu'; may be repeated.
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
    /// Run this row of each target alone, with all of its checks, as in 'unix,tcp'; may be repeated.
    #[arg(long, value_name = "FEATURES")]
    features: Vec<FeatureSet>,
    /// Write the table to a file, too, in JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Get what the targets need before, by ci/bootstrap-targets: Debian's packages where root runs it, the rest
    /// into target/cross.
    #[arg(long)]
    bootstrap: bool,
}

impl Options {
    /// This machine's own target, quickly.
    pub(crate) fn quick() -> Self {
        Self { quick: true, ..Self::default() }
    }

    /// Everything on every target.
    pub(crate) fn everything() -> Self {
        Self::default()
    }

    /// The targets asked for. Without a wish these are all; quickly this machine's own.
    fn targets(&self, host: &str) -> anyhow::Result<Vec<Target>> {
        let mut all = Target::all(host)?;
        for wish in &self.target {
            let known: Vec<_> = all.iter().map(Target::triple).collect();
            ensure!(known.contains(&wish.as_str()), "'{wish}' is no target; there are {}", known.join(", "));
        }
        all.retain(|target| match self.target.is_empty() {
            true => !self.quick || target.is_host(),
            false => self.target.iter().any(|wish| wish == target.triple()),
        });
        Ok(all)
    }

    /// The rows of these targets: each set of features, or those asked for, by which a program has a transport there.
    fn rows(&self, targets: Vec<Target>) -> anyhow::Result<Vec<(Target, FeatureSet)>> {
        let sets = if self.features.is_empty() { FeatureSet::all() } else { self.features.clone() };
        let of_target = |target: Target| {
            let sets = sets.iter().filter(|set| set.has_a_transport(&target)).copied().collect::<Vec<_>>();
            sets.into_iter().map(move |set| (target.clone(), set))
        };
        let rows: Vec<_> = targets.into_iter().flat_map(of_target).collect();
        ensure!(!rows.is_empty(), "there are no Unix sockets on Windows, and so no program with them alone");
        Ok(rows)
    }

    /// Whether a row has a check.
    fn has(&self, check: Check, target: &Target, features: FeatureSet) -> bool {
        let of_row =
            check.is_of_each_set(target) || features.is_everything() || self.features.contains(&features);
        check.is_for(target) && of_row && (check.is_quick(features) || !self.quick)
    }

    fn depth(&self) -> Depth {
        if self.quick { Depth::Quick } else { Depth::Whole }
    }
}

/// Gets what the targets need.
///
/// # Errors
/// Something is still missing for which there is no skip.
pub(crate) fn bootstrap(workspace: &Workspace) -> anyhow::Result<()> {
    Tools::bootstrap(workspace)
}

/// Runs the matrix, or what was asked for of it.
///
/// # Errors
/// A cell failed, in CI one was skipped, or the table cannot be written.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if options.bootstrap {
        if let Err(missing) = tools::install(workspace) {
            eprintln!("{missing:#}");
        }
        bootstrap(workspace)?;
    }
    let tools = Tools::find(workspace)?;
    let wanted = options.rows(options.targets(tools.host())?)?;
    if options.list {
        wanted.iter().for_each(|(target, features)| println!("{}", table::title(target, *features)));
        return Ok(());
    }
    let logs = workspace.target("test-matrix");
    println!("what each check printed is in {}", logs.display());
    println!("{}", table::heading());
    let mut rows = Vec::new();
    for (target, features) in wanted {
        let missing = tools.missing(&target);
        let logs = logs.join(target.triple());
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let mut row = Row { target, features, cells: Vec::new() };
        for check in Check::ALL.into_iter().filter(|check| options.has(*check, &row.target, features)) {
            let cell = match missing.clone().or_else(|| row.broken()) {
                Some(why) => Cell::skipped(why),
                None => {
                    let started = Instant::now();
                    let log = logs.join(format!("{features}-{}.log", check.name()));
                    let place =
                        Place { workspace, tools: &tools, target: &row.target, depth: options.depth() };
                    Cell { outcome: check.perform(&place, features, &log), took: started.elapsed() }
                }
            };
            row.cells.push((check, cell));
        }
        println!("{row}");
        rows.push(row);
    }
    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", table::as_json(&rows)))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    conclude(&rows, Policy::from_environment())
}

/// Says what failed, and counts.
fn conclude(rows: &[Row], policy: Policy) -> anyhow::Result<()> {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for row in rows {
        for (check, cell) in &row.cells {
            match &cell.outcome {
                Outcome::Passed { .. } => passed += 1,
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Failed(why) => {
                    failed += 1;
                    eprintln!("{} {}: {why}", table::title(&row.target, row.features), check.name());
                }
            }
        }
    }
    println!("{passed} cells passed, {failed} failed, {skipped} skipped");
    match (failed, skipped, policy) {
        (0, 0, _) | (0, _, Policy::Count) => Ok(()),
        (0, _, Policy::Refuse) => bail!("{skipped} cells skipped, and CI=true: in CI every one runs"),
        _ => bail!("{failed} cells of the matrix failed"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn a_quick_run_is_of_this_machine_unless_another_is_asked_for() {
        let triples = |options: &Options| -> Vec<_> {
            options.targets(HOST).unwrap().iter().map(Target::triple).collect()
        };
        assert_eq!(triples(&Options::quick()), [HOST]);
        assert_eq!(triples(&Options::everything()).len(), 6);
        let apple = || vec!["aarch64-apple-darwin".to_owned()];
        assert_eq!(triples(&Options { target: apple(), ..Options::quick() }), ["aarch64-apple-darwin"]);
        let wrong = Options { target: vec!["apple".to_owned()], ..Options::default() };
        assert!(
            wrong
                .targets(HOST)
                .unwrap_err()
                .to_string()
                .starts_with("'apple' is no target; there are x86_64")
        );
    }

    #[test]
    fn on_windows_there_is_no_row_of_unix_sockets_alone() {
        let rows = |options: &Options| options.rows(options.targets(HOST).unwrap());
        let all = rows(&Options::everything()).unwrap();
        assert_eq!(all.len(), 6 * 7 - 1);
        let windows = all.iter().filter(|(target, _)| target.is_windows());
        let sets: Vec<_> = windows.map(|(_, features)| features.to_string()).collect();
        assert_eq!(sets, ["tcp", "unix,tcp", "quic", "unix,quic", "tcp,quic", "unix,tcp,quic"]);
        let target = vec!["x86_64-pc-windows-gnu".to_owned()];
        let none = Options { target, features: vec!["unix".parse().unwrap()], ..Options::default() };
        assert!(rows(&none).unwrap_err().to_string().contains("no Unix sockets"));
    }

    #[test]
    fn other_targets_are_linted_with_each_set_and_tested_with_everything() {
        let everything: FeatureSet = "unix,tcp,quic".parse().unwrap();
        let tcp: FeatureSet = "tcp".parse().unwrap();
        let all = Target::all(HOST).unwrap();
        let checks = |options: &Options, target: &Target, features| -> Vec<_> {
            Check::ALL.into_iter().filter(|check| options.has(*check, target, features)).collect()
        };
        let (whole, quick) = (Options::everything(), Options::quick());
        assert_eq!(checks(&whole, &all[0], tcp), Check::ALL);
        assert_eq!(checks(&quick, &all[0], everything), [Check::Linked, Check::Clippy]);
        let first = FeatureSet::all()[0];
        assert_eq!(checks(&quick, &all[0], first), [Check::Linked, Check::Clippy, Check::Driverless]);
        let asked = Options { features: vec![tcp], ..Options::default() };
        for target in &all[1..4] {
            assert_eq!(checks(&whole, target, tcp), [Check::Clippy]);
            assert_eq!(checks(&asked, target, tcp), Check::ALL[1..]);
            assert_eq!(checks(&whole, target, everything), Check::ALL[1..]);
        }
        assert_eq!(checks(&whole, &all[4], everything), [Check::Clippy, Check::Driverless, Check::Build]);
    }

    #[test]
    fn failures_fail_and_in_ci_skips_do() {
        let row = |outcome| Row {
            target: Target::all(HOST).unwrap().remove(0),
            features: "tcp".parse().unwrap(),
            cells: vec![(Check::Build, Cell { outcome, took: Duration::ZERO })],
        };
        let passed = || row(Outcome::Passed { tests: None, skipped: 0 });
        let skipped = || row(Outcome::Skipped("no std".into()));
        let failed = || row(Outcome::Failed("see the log".into()));
        assert!(conclude(&[passed()], Policy::Refuse).is_ok());
        assert!(conclude(&[passed(), skipped()], Policy::Count).is_ok());
        assert!(
            conclude(&[passed(), skipped()], Policy::Refuse)
                .unwrap_err()
                .to_string()
                .starts_with("1 cells skipped")
        );
        assert!(conclude(&[skipped(), failed()], Policy::Count).is_err());
    }
}
