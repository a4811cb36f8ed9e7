//! The checks that each row goes through.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::cell::Outcome;
use super::features::FeatureSet;
use super::target::{How, Target, Tools};
use super::{bare, nextest};
use crate::command::cargo;
use crate::workspace::Workspace;
use crate::{skips, tools};

/// The packages of the two programs, which have the features.
const PROGRAMS: [&str; 2] = ["cli", "daemon"];

/// Where the daemon has no driver, each `list` says so.
const DRIVER: &str = "daemon/qemu";

/// A test of the programs' packages that is quickly linted. With a test among what it lints, cargo gives the
/// libraries the features that the tests want of them, as where it lints all tests; without, it would check most of
/// the libraries once more.
const SMALLEST_TEST: &str = "power_cut";

/// The integration tests in which the daemon, or the test, starts its own program once more.
const STARTING_THEMSELVES: &str = "machines::|open_file::|\
                                   grants::what_does_not_fit_is_an_error_and_is_cut_off_again$";
/// Why the emulator leaves them out. With binfmt_misc the kernel would start those, and not every kernel has that.
const NO_EXEC: &str = "a program that starts itself: the emulated one starts none of its processor";

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// What is not chosen is not linked.
    Linked,
    /// Clippy of both programs, warnings denied.
    Clippy,
    /// Clippy of the daemon by itself, without a driver for instances.
    Driverless,
    /// The programs.
    Build,
    /// The programs' own tests, and those of the real programs.
    Tests,
}

impl Check {
    pub(super) const ALL: [Self; 5] =
        [Self::Linked, Self::Clippy, Self::Driverless, Self::Build, Self::Tests];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Clippy => "clippy",
            Self::Driverless => "no driver",
            Self::Build => "build",
            Self::Tests => "tests",
        }
    }

    /// Whether it is part of the quick run, of this row. What the daemon is without a driver does not depend on its
    /// transports, and is linted with one: by itself it has other libraries than beside the client, and each is
    /// checked again.
    pub(super) fn is_quick(self, features: FeatureSet) -> bool {
        match self {
            Self::Linked | Self::Clippy => true,
            Self::Driverless => features.is_first(),
            Self::Build | Self::Tests => false,
        }
    }

    /// Whether a target goes through it with each set of features. Others than this machine's own are linted with
    /// each, which compiles all; what they link and do depends on the target more than on the set, and is tried with
    /// everything.
    pub(super) fn is_of_each_set(self, target: &Target) -> bool {
        target.is_host() || self == Self::Clippy
    }

    /// Whether a target goes through it at all. What cargo says is linked is the same for each.
    pub(super) fn is_for(self, target: &Target) -> bool {
        match self {
            Self::Linked => target.is_host(),
            Self::Clippy | Self::Driverless | Self::Build => true,
            Self::Tests => target.how() != How::CheckOnly,
        }
    }

    /// Does it; what it prints goes to `log`.
    pub(super) fn perform(self, place: &Place<'_>, features: FeatureSet, log: &Path) -> Outcome {
        let done = match self {
            Self::Linked => linked(place, features).map(|()| Outcome::Passed { tests: None, skipped: 0 }),
            Self::Clippy => {
                let mut clippy = place.chosen(&["clippy"], features);
                clippy.args(place.depth.targets(features)).args(["--", "-D", "warnings"]);
                succeeds(&mut clippy, log)
            }
            Self::Driverless => {
                let alone = ["clippy", "--package", "daemon", "--all-targets", "--no-default-features"];
                let mut clippy = place.cargo(&alone);
                clippy.args(["--features", &features.of_packages(&["daemon"]), "--", "-D", "warnings"]);
                succeeds(&mut clippy, log)
            }
            Self::Build => build(place, features, log),
            Self::Tests => tests(place, features, log),
        };
        done.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
    }
}

/// What is linted of each set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The programs and their tests.
    Whole,
    /// The programs, and their tests with one transport alone: more transports use more, and leave nothing unused
    /// in a test that one of them alone does not. With all of them `cargo xtask ci clippy` has linted the tests.
    Quick,
}

impl Depth {
    /// As arguments to cargo.
    fn targets(self, features: FeatureSet) -> &'static [&'static str] {
        match self {
            Self::Quick if features.is_several() => &["--lib", "--bins", "--test", SMALLEST_TEST],
            Self::Quick | Self::Whole => &["--all-targets"],
        }
    }
}

/// Where a check is done: on which workspace, for which target, with what this machine has for that, and how much.
pub(super) struct Place<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) tools: &'a Tools,
    pub(super) target: &'a Target,
    pub(super) depth: Depth,
}

impl Place<'_> {
    fn cargo(&self, subcommand: &[&str]) -> Command {
        self.tools.cargo(self.workspace, self.target, subcommand)
    }

    /// A cargo command for both programs with these transports alone, and instances.
    fn chosen(&self, subcommand: &[&str], features: FeatureSet) -> Command {
        let mut cargo = self.cargo(subcommand);
        cargo.args(PROGRAMS.iter().flat_map(|package| ["--package", package]));
        cargo.args(["--no-default-features", "--features", &features.of_packages(&PROGRAMS)]);
        cargo.args(["--features", DRIVER]);
        cargo
    }

    /// Where the programs are built.
    fn binaries(&self) -> PathBuf {
        match self.target.is_host() {
            true => self.workspace.target("debug"),
            false => self.workspace.target(self.target.triple()).join("debug"),
        }
    }
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
fn linked(place: &Place<'_>, features: FeatureSet) -> anyhow::Result<()> {
    for program in PROGRAMS {
        let mut tree = place.cargo(&["tree", "--package", program, "--edges", "normal", "--prefix", "none"]);
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

/// The programs, linked; where nothing runs, their tests too, which otherwise nothing would link.
fn build(place: &Place<'_>, features: FeatureSet, log: &Path) -> anyhow::Result<Outcome> {
    let mut build = place.chosen(&["build"], features);
    build.arg("--bins");
    if place.target.how() == How::CheckOnly {
        build.arg("--tests");
    }
    succeeds(&mut build, log)
}

/// The programs' own tests, and those of the real programs over the transports that these have.
fn tests(place: &Place<'_>, features: FeatureSet, log: &Path) -> anyhow::Result<Outcome> {
    let Place { workspace, target, .. } = *place;
    let runner = match place.tools.runner(target) {
        Ok(runner) => runner,
        Err(missing) => return Ok(Outcome::Skipped(missing)),
    };
    let skipped = log.with_extension("skips");
    skips::start(&skipped)?;
    let mut own = place.chosen(&["nextest", "run", "--profile", "ci"], features);
    runner.prepare(&mut own, target);
    if target.how() == How::QemuUser {
        own.args(["--filterset", &format!("not (kind(test) and test(/^({STARTING_THEMSELVES})/))")]);
        skips::add(&skipped, &format!("{STARTING_THEMSELVES}: {NO_EXEC}"))?;
    }
    let mut suites = vec![("own", own)];
    // On Windows they are a program for Windows themselves; elsewhere they are this machine's, and start others'.
    let real = if target.is_windows() {
        let mut real = place.cargo(&["nextest", "run", "--profile", "ci", "--package", "e2e"]);
        runner.prepare(&mut real, target);
        real
    } else {
        let mut real = cargo(workspace, ["nextest", "run", "--profile", "ci", "--package", "e2e"]);
        // Those of the tests of the real programs that go over a transport which these have.
        let names = features.names().join("|");
        real.args(["--filterset", &format!("test(/^over_each_transport::\\w+::({names})::/)")]);
        real.env("MULTIPASS_TEST_BINARIES", place.binaries()).env("MULTIPASS_TEST_RUNNER", runner.line());
        real.env("MULTIPASS_TEST_PROCESSOR", target.processor());
        real
    };
    suites.push(("real", real));
    let mut count = 0;
    for (part, suite) in &mut suites {
        let log = log.with_extension(format!("{part}.log"));
        suite.env(skips::FILE_VARIABLE, &skipped);
        if let Some(python) = tools::python(workspace) {
            suite.env("MULTIPASS_TEST_PYTHON", python);
        }
        succeeds(suite, &log)?;
        let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        count += nextest::passed(&said).with_context(|| format!("no summary in {}", log.display()))?;
    }
    if target.is_static() {
        match bare::run(&place.binaries())? {
            Ok(()) => count += 1,
            Err(why) => skips::add(&skipped, &why)?,
        }
    }
    Ok(Outcome::Passed { tests: Some(count), skipped: skips::read(&skipped)?.len() })
}
