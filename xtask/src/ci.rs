//! `cargo xtask ci`: every check of the project, one after the other, each with its verdict in a table.
//!
//! It stops at nothing: who fixes the formatting wants to know about the failing test too.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::command::{cargo, run as run_command};
use crate::skips::{self, Policy};
use crate::workspace::Workspace;
use crate::{dist, guest_image, instructions, layers, test_matrix, tools};

/// One check. They run in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Install what the other steps need
    Tools,
    /// The formatting
    Fmt,
    /// Clippy, warnings denied
    Clippy,
    /// Each set of features by itself: clippy, and what it links; the long way on each target, with tests
    Matrix,
    /// All binaries: the tests drive the real ones
    Build,
    /// All tests, those in the documentation too
    Tests,
    /// The documentation, warnings denied
    Docs,
    /// Which crate knows which
    Layers,
    /// Licences, banned and duplicate crates, sources
    Deny,
    /// The instructions of the hot paths
    Instructions,
    /// The Debian package and its life: long, so only with --all or by its name
    Dist,
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run these steps alone.
    #[arg(value_enum, value_name = "STEP")]
    pub(crate) steps: Vec<Step>,
    /// Run the long tests too, which take minutes each, and the whole matrix, on all targets.
    #[arg(long)]
    pub(crate) all: bool,
}

/// Runs the steps named, or all of them, and prints how each one went.
///
/// # Errors
/// Where any step failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let only = &options.steps;
    let mut rows = Vec::new();
    for &step in Step::value_variants() {
        let long = step == Step::Dist && !options.all;
        if !only.contains(&step) && (!only.is_empty() || long) {
            continue;
        }
        println!("\n==> {}", name(step));
        let started = Instant::now();
        let outcome = perform(step, workspace, options.all);
        if let Err(error) = &outcome {
            eprintln!("{}: {error:#}", name(step));
        }
        let verdict = match outcome {
            Ok(remark) => Verdict::Passed(remark),
            Err(_) => Verdict::Failed,
        };
        rows.push(Row { step, verdict, took: started.elapsed() });
    }
    println!("\n{}", table(&rows));
    let failed = rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed)).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", rows.len());
    }
    Ok(())
}

/// Does one step; what it returns is said beside its verdict.
fn perform(step: Step, workspace: &Workspace, long_tests: bool) -> anyhow::Result<Option<String>> {
    let mut command = match step {
        Step::Tools => {
            tools::install(workspace)?;
            if long_tests {
                test_matrix::bootstrap(workspace)?;
            }
            return Ok(None);
        }
        Step::Tests => return tests(workspace, long_tests),
        Step::Layers => return layers::run(workspace).map(|()| None),
        Step::Matrix if long_tests => return matrix(workspace, &test_matrix::Options::everything()),
        Step::Matrix => return matrix(workspace, &test_matrix::Options::quick()),
        Step::Instructions => return instructions::run(workspace, &instructions::Options::default()),
        Step::Dist => return dist::run(workspace, &dist::Options { test: true }).map(|()| None),
        Step::Fmt => cargo(workspace, ["fmt", "--all", "--check"]),
        Step::Clippy => cargo(
            workspace,
            ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
        ),
        // Together with the tests, or cargo would unify their features again and build much of it twice.
        Step::Build => cargo(workspace, ["build", "--workspace", "--all-features", "--bins", "--tests"]),
        Step::Docs => {
            let mut doc = cargo(workspace, ["doc", "--workspace", "--all-features", "--no-deps"]);
            doc.env("RUSTDOCFLAGS", "-D warnings");
            doc
        }
        // Only the checks that need no network: advisories change by the day, and would fail an old commit.
        Step::Deny => cargo(workspace, ["deny", "--offline", "check", "bans", "licenses", "sources"]),
    };
    run_command(&mut command).map(|()| None)
}

fn matrix(workspace: &Workspace, options: &test_matrix::Options) -> anyhow::Result<Option<String>> {
    test_matrix::run(workspace, options).map(|()| None)
}

fn tests(workspace: &Workspace, long_tests: bool) -> anyhow::Result<Option<String>> {
    let file = workspace.target("skips.txt");
    skips::start(&file)?;
    // Where it cannot be built, the tests that need it are skipped, and counted as such.
    if let Err(error) = guest_image::build(workspace) {
        eprintln!("there is no guest image: {error:#}");
    }
    if long_tests && let Err(error) = guest_image::build_debian(workspace) {
        eprintln!("there is no image of a Debian: {error:#}");
    }
    let mut nextest =
        cargo(workspace, ["nextest", "run", "--profile", "ci", "--workspace", "--all-features"]);
    if long_tests {
        nextest.args(["--run-ignored", "all"]);
    }
    // cargo nextest does not run the examples in the documentation.
    let suites = [nextest, cargo(workspace, ["test", "--doc", "--workspace", "--all-features"])];
    let outcomes = suites.map(|mut suite| {
        suite.env(skips::FILE_VARIABLE, &file);
        if let Some(python) = tools::python(workspace) {
            suite.env("MULTIPASS_TEST_PYTHON", python);
        }
        run_command(&mut suite)
    });
    let skipped = skips::report(&file, Policy::from_environment());
    outcomes.into_iter().collect::<anyhow::Result<()>>()?;
    skipped
}

#[derive(Debug)]
struct Row {
    step: Step,
    verdict: Verdict,
    took: Duration,
}

#[derive(Debug)]
enum Verdict {
    Passed(Option<String>),
    Failed,
}

fn name(step: Step) -> String {
    step.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn table(rows: &[Row]) -> String {
    let mut table = format!("{:<12} {:<20} {:>7}", "step", "result", "seconds");
    for Row { step, verdict, took } in rows {
        let result = match verdict {
            Verdict::Passed(None) => "ok".to_owned(),
            Verdict::Passed(Some(remark)) => format!("ok, {remark}"),
            Verdict::Failed => "FAILED".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(table, "\n{:<12} {result:<20} {:>7.1}", name(*step), took.as_secs_f64());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_failures_and_skips_apart() {
        let rows = [
            Row { step: Step::Fmt, verdict: Verdict::Failed, took: Duration::from_millis(449) },
            Row {
                step: Step::Tests,
                verdict: Verdict::Passed(Some("2 skipped".into())),
                took: Duration::from_secs(83),
            },
            Row { step: Step::Deny, verdict: Verdict::Passed(None), took: Duration::from_secs(1) },
        ];
        let expected = "\
step         result               seconds
fmt          FAILED                   0.4
tests        ok, 2 skipped           83.0
deny         ok                       1.0";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn the_tools_come_first() {
        assert_eq!(Step::value_variants().first(), Some(&Step::Tools));
    }
}
