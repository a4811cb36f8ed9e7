//! `cargo xtask`: the project's own tasks, in Rust so that a fresh machine needs nothing but cargo.
//!
//! This file reads the command line and hands over; each task is a module. Nothing here is shipped, and no
//! other crate depends on it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task tells a person what it does")]

mod bench;
mod ci;
mod command;
mod demo;
mod dist;
#[cfg(test)]
mod documents;
mod guest_image;
mod instructions;
mod layers;
mod man;
mod packages;
mod skips;
mod test_matrix;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure what the programs cost, beside the least that they could cost.
    ///
    /// It fails where a figure is beyond what it must keep. The machine should have nothing else to do.
    Bench(bench::Options),
    /// Check everything that CI checks, installing the tools that it needs.
    ///
    /// Every step runs, whatever became of those before it, and a table at the end says how each one went.
    Ci(ci::Options),
    /// Tell the story of clients that are let in, and of a virtual machine where QEMU is there. Needs no root.
    Demo,
    /// Make a Debian package of both programs.
    ///
    /// With --test it is installed, used, upgraded, removed and purged on a clean Debian, which root can start.
    Dist(dist::Options),
    /// Build the small virtual machine image that the tests start; its path is the last line.
    ///
    /// It is made of the distribution's packages (Debian, Ubuntu), and made again when these or the recipe have
    /// changed.
    GuestImage(guest_image::Options),
    /// Count the instructions of the hot paths, and compare with bench/instructions.toml.
    ///
    /// It needs valgrind, and fails where a figure is a tenth more or less than written down.
    Instructions(instructions::Options),
    /// Check which crate knows which, and where unsafe code may be.
    Layers,
    /// Write the man pages of both programs into a directory.
    ///
    /// They are made of the definitions that its help is made of.
    Man(man::Options),
    /// Build, lint and test the programs with each set of features, on each target.
    ///
    /// With --bootstrap it first gets what the targets need. What is missing then is skipped, and says why.
    TestMatrix(test_matrix::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return refuse(&refused),
    };
    match run(cli.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Ci(options) => ci::run(&workspace, &options),
        Task::Demo => demo::run(&workspace),
        Task::Dist(options) => dist::run(&workspace, &options),
        Task::GuestImage(options) => guest_image::run(&workspace, &options),
        Task::Instructions(options) => instructions::run(&workspace, &options).map(drop),
        Task::Layers => layers::run(&workspace),
        Task::Man(options) => man::run(&workspace, &options),
        Task::TestMatrix(options) => test_matrix::run(&workspace, &options),
    }
}

/// Says what is wrong with the command line. Who mistypes a task gets the list of them too: clap alone would
/// only point at `--help`.
fn refuse(refused: &clap::Error) -> ExitCode {
    // Where the terminal is gone there is no one left to tell.
    let _ = refused.print();
    if refused.kind() == ErrorKind::InvalidSubcommand {
        eprintln!("\n{}", Cli::command().render_help());
    }
    if refused.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ci_takes_single_steps() {
        let cli = Cli::try_parse_from(["cargo xtask", "ci", "fmt", "deny"]).unwrap();
        let Task::Ci(options) = cli.task else { panic!("another task: {:?}", cli.task) };
        assert!(options.steps == [ci::Step::Fmt, ci::Step::Deny] && !options.all);
    }

    #[test]
    fn ci_takes_the_long_tests_too() {
        let cli = Cli::try_parse_from(["cargo xtask", "ci", "--all", "tests"]).unwrap();
        assert!(matches!(cli.task, Task::Ci(options) if options.all));
    }

    #[test]
    fn bench_takes_single_groups() {
        let cli = Cli::try_parse_from(["cargo xtask", "bench", "--quick", "memory", "--json", "f"]);
        assert!(matches!(cli.unwrap().task, Task::Bench(_)));
    }

    #[test]
    fn an_unknown_task_is_refused() {
        let refused = Cli::try_parse_from(["cargo xtask", "cii"]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidSubcommand);
    }
}
