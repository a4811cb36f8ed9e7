//! The checks that each row goes through.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::cell::Outcome;
use super::features::FeatureSet;
use super::nextest;
use crate::command::cargo;
use crate::workspace::Workspace;
use crate::{skips, tools};

/// The packages of the two programs, which have the features.
const PROGRAMS: [&str; 2] = ["cli", "daemon"];

/// Where the daemon has no driver, each `list` says so.
const DRIVER: &str = "daemon/qemu";

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// What is not chosen is not linked.
    Linked,
    /// Clippy, with the tests, warnings denied; of the daemon also without a driver for instances.
    Clippy,
    /// The programs.
    Build,
    /// The programs' own tests, and those of the real programs.
    Tests,
}

impl Check {
    pub(super) const ALL: [Self; 4] = [Self::Linked, Self::Clippy, Self::Build, Self::Tests];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Clippy => "clippy",
            Self::Build => "build",
            Self::Tests => "tests",
        }
    }

    /// Whether it is part of the quick run.
    pub(super) fn is_quick(self) -> bool {
        matches!(self, Self::Linked | Self::Clippy)
    }

    /// Does it; what it prints goes to `log`.
    pub(super) fn perform(self, workspace: &Workspace, features: FeatureSet, log: &Path) -> Outcome {
        let done = match self {
            Self::Linked => linked(workspace, features).map(|()| Outcome::Passed { tests: None, skipped: 0 }),
            Self::Clippy => {
                let mut clippy = chosen(workspace, ["clippy"], features);
                let mut without_driver =
                    cargo(workspace, ["clippy", "--package", "daemon", "--no-default-features"]);
                without_driver.args(["--features", &features.of_packages(&["daemon"])]);
                let mut both = [&mut clippy, &mut without_driver].into_iter();
                both.try_fold(Outcome::Passed { tests: None, skipped: 0 }, |_, clippy| {
                    succeeds(clippy.args(["--all-targets", "--", "-D", "warnings"]), log)
                })
            }
            Self::Build => succeeds(chosen(workspace, ["build"], features).arg("--bins"), log),
            Self::Tests => tests(workspace, features, log),
        };
        done.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
    }
}

/// A cargo command for both programs with these transports alone, and instances.
fn chosen<const N: usize>(workspace: &Workspace, command: [&str; N], features: FeatureSet) -> Command {
    let mut cargo = cargo(workspace, command);
    cargo.args(PROGRAMS.iter().flat_map(|package| ["--package", package]));
    cargo.args(["--no-default-features", "--features", &features.of_packages(&PROGRAMS)]);
    cargo.args(["--features", DRIVER]);
    cargo
}

/// Runs a command with its output in `log`.
fn succeeds(command: &mut Command, log: &Path) -> anyhow::Result<Outcome> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "see {}", log.display());
    Ok(Outcome::Passed { tests: None, skipped: 0 })
}

/// Each transport that was left out must not be linked, nor what only it needs; each that was chosen must be.
fn linked(workspace: &Workspace, features: FeatureSet) -> anyhow::Result<()> {
    for program in PROGRAMS {
        let mut tree =
            cargo(workspace, ["tree", "--package", program, "--edges", "normal", "--prefix", "none"]);
        tree.args(["--no-default-features", "--features", &features.names().join(",")]);
        let output = tree.output().context("cannot run cargo")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        let has = |package: &str| tree.lines().any(|line| line.split(' ').next() == Some(package));
        for name in features.names() {
            ensure!(has(&format!("transport-{name}")), "{program} does not link transport-{name}");
        }
        for name in features.left_out() {
            ensure!(
                !has(&format!("transport-{name}")),
                "{program} links transport-{name}, which is left out"
            );
        }
        ensure!(!has("driver-qemu"), "{program} links driver-qemu, which was not chosen");
        if features.left_out().contains(&"quic") {
            ensure!(!has("quinn"), "{program} links quinn, and QUIC is left out");
        }
    }
    Ok(())
}

fn tests(workspace: &Workspace, features: FeatureSet, log: &Path) -> anyhow::Result<Outcome> {
    let skipped = log.with_extension("skips");
    skips::start(&skipped)?;
    let own = chosen(workspace, ["nextest", "run", "--profile", "ci"], features);
    // Those of the tests of the real programs that go over a transport which these have.
    let chosen = format!("test(/^over_each_transport::\\w+::({})::/)", features.names().join("|"));
    let mut real = cargo(workspace, ["nextest", "run", "--profile", "ci", "--package", "e2e"]);
    real.args(["--filterset", &chosen]);
    let mut count = 0;
    for (mut suite, part) in [(own, "own"), (real, "real")] {
        let log = log.with_extension(format!("{part}.log"));
        suite.env(skips::FILE_VARIABLE, &skipped);
        if let Some(python) = tools::python(workspace) {
            suite.env("MULTIPASS_TEST_PYTHON", python);
        }
        succeeds(&mut suite, &log)?;
        let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        count += nextest::passed(&said).with_context(|| format!("no summary in {}", log.display()))?;
    }
    Ok(Outcome::Passed { tests: Some(count), skipped: skips::read(&skipped)?.len() })
}
