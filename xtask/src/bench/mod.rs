//! `cargo xtask bench`: what the programs cost, beside the least that they could cost.
//!
//! Real processes, built for release. Whatever has a floor is measured in turns with it, so that a machine
//! that is busy with something else slows both down. A figure has a limit that it must keep, or `bench` fails,
//! and one to aim at.

mod process;
mod report;
mod scenes;
mod statistics;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use self::report::{Figure, Report, Verdict};
use self::scenes::Stage;
use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;

/// What is measured, and what it is measured with.
const PROGRAMS: [&str; 11] = [
    "multipass",
    "multipassd",
    "admit",
    "bare-client",
    "bare-hash",
    "bare-service",
    "empty",
    "launch",
    "load",
    "stream",
    "trust-file",
];

/// What to measure, and where to tell of it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure these alone
    #[arg(value_enum, value_name = "GROUP")]
    groups: Vec<Group>,
    /// Measure less: enough to see that everything works, not to compare figures
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Calls and connections over the Unix socket
    Service,
    /// Calls and connections over TCP
    Tcp,
    /// Calls and connections over QUIC, beside those over TCP
    Quic,
    /// Bytes through one stream of QUIC, beside quinn's
    Stream,
    /// The judgement of a call
    Admit,
    /// From the start to the first answer, and to the end
    Lifetime,
    /// Memory
    Memory,
    /// The client's commands
    Client,
    /// Being let in by the passphrase
    Authenticate,
    /// A trusted client's calls while strangers guess
    Attack,
    /// What the service adds to a guest's own time until it is up
    Launch,
}

/// How the daemon is built: as it is by default, or with QUIC too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Default,
    Quic,
}

impl Group {
    fn variant(self) -> Variant {
        match self {
            Self::Quic => Variant::Quic,
            _ => Variant::Default,
        }
    }
}

/// What came of a group.
#[derive(Debug)]
enum Measured {
    Figures(Vec<Figure>),
    /// It cannot be measured here, and why.
    Skipped(String),
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Turns of each measurement.
    rounds: usize,
    /// Turns where one is a single start of a short program.
    starts: usize,
    /// Seconds of calls in a turn.
    seconds: f64,
    /// Connections in a turn.
    connects: usize,
    /// Judgements in a turn.
    judgements: usize,
    /// Passphrases in a turn. The daemon evaluates 60 a minute.
    passphrases: usize,
    /// Seconds of calls in a turn under attack: one call in a hundred has to be many.
    attacked: f64,
    /// Attacks upon a daemon that has just started.
    outbreaks: usize,
    /// Instances.
    launches: usize,
}

/// Many short turns rather than few long ones: the closer a turn is to the floor's, the less the machine has
/// changed in between.
const FULL: Pace = Pace {
    rounds: 15,
    starts: 101,
    seconds: 0.5,
    connects: 100,
    judgements: 500_000,
    passphrases: 3,
    attacked: 2.0,
    outbreaks: 7,
    launches: 9,
};
const QUICK: Pace = Pace {
    rounds: 3,
    starts: 11,
    seconds: 0.2,
    connects: 30,
    judgements: 100_000,
    passphrases: 2,
    attacked: 0.5,
    outbreaks: 2,
    launches: 2,
};

/// Builds everything, measures, and prints a table.
///
/// # Errors
/// A measurement could not be made, or a figure is beyond what it must keep.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let pace = if options.quick { QUICK } else { FULL };
    let mut report = Report::begin(options.quick);
    for variant in [Variant::Default, Variant::Quic] {
        let chosen = |group: &&Group| options.groups.is_empty() || options.groups.contains(group);
        let groups: Vec<_> = Group::value_variants().iter().filter(chosen).copied().collect();
        let groups: Vec<_> = groups.into_iter().filter(|group| group.variant() == variant).collect();
        if groups.is_empty() {
            continue;
        }
        let stage = Stage::set(&build(workspace, variant)?)?;
        for group in groups {
            eprintln!("measuring: {}", name(group));
            match stage.measure(group, workspace, pace).with_context(|| name(group))? {
                Measured::Figures(figures) => report.figures.extend(figures),
                Measured::Skipped(why) => report.skipped.push(format!("{}: {why}", name(group))),
            }
        }
    }
    println!("\n{}", report.table());
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", report.json()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    match report.figures.iter().filter(|figure| figure.verdict() == Verdict::Failed).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} figures are beyond what they must keep", report.figures.len()),
    }
}

/// Builds the programs and puts them where they are measured.
fn build(workspace: &Workspace, variant: Variant) -> anyhow::Result<PathBuf> {
    let mut build = cargo(workspace, ["build", "--release", "--package", "bench", "--package", "daemon"]);
    if variant == Variant::Quic {
        build.args(["--features", "daemon/quic"]);
    }
    run_command(&mut build)?;
    // By itself, as it is installed: beside the daemon it would have what only that needs of their libraries.
    run_command(&mut cargo(workspace, ["build", "--release", "--package", "cli"]))?;
    install(&workspace.target("release"), &workspace.target("bench"))
}

/// Copies the programs to where they are measured, as an installation does: what the linker has written lies in
/// the page cache in smaller pieces, and each costs the start of a program a fault.
fn install(from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let installed = || -> io::Result<()> {
        fs::create_dir_all(to)?;
        for program in PROGRAMS {
            // A new file, for one that is still being run cannot be written to.
            match fs::remove_file(to.join(program)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => fs::copy(from.join(program), to.join(program))?,
            };
        }
        Ok(())
    };
    installed().with_context(|| format!("cannot copy the programs to {}", to.display()))?;
    Ok(to.to_owned())
}

fn name(group: Group) -> String {
    group.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_run_has_seven_turns_and_stays_within_the_budget_of_guesses() {
        const { assert!(FULL.rounds >= 7 && FULL.starts >= 7 && FULL.outbreaks >= 7 && FULL.launches >= 7) };
        const { assert!(FULL.rounds * FULL.passphrases < 60) };
    }
}
