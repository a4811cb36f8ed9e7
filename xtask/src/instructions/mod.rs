//! `cargo xtask instructions`: how many instructions the hot paths take, compared with what they took when
//! somebody last looked.
//!
//! Instructions are counted by valgrind and do not depend on what else the machine does, so that CI can hold
//! them to a margin; what they mean in seconds is the matter of `cargo xtask bench`. The figures are in
//! `bench/instructions.toml`, of x86_64 alone.

mod figures;

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;

use self::figures::Figures;
use crate::command::{answer, cargo, run as run_command};
use crate::skips::Policy;
use crate::workspace::Workspace;

/// What to do with what was counted.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Write the figures to bench/instructions.toml instead of comparing with it
    #[arg(long)]
    update: bool,
}

/// What is counted, and by which name.
struct Subject {
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// `instructions` of the package `bench`: what runs in its function `counted`, divided by how often.
    Work,
    /// `multipass`, from its start to its end.
    Client,
}

const SUBJECTS: [Subject; 5] = [
    Subject { name: "admit, 1 client", program: Program::Work, arguments: &["admit", "1"] },
    Subject { name: "admit, 100,000 clients", program: Program::Work, arguments: &["admit", "100000"] },
    Subject {
        name: "open the trust file, each client",
        program: Program::Work,
        arguments: &["open", "1000", DATA],
    },
    Subject { name: "multipass help", program: Program::Client, arguments: &["help"] },
    Subject { name: "multipass version", program: Program::Client, arguments: &["version"] },
];

/// Where the trust file is that a program makes, in the directory that it runs in.
const DATA: &str = "data";

/// The packages, their programs, and what of their features these need: the work does without what most of the
/// libraries of `bench` are for.
const PROGRAMS: [(&str, &str, &[&str]); 2] =
    [("bench", "instructions", &["--no-default-features"]), ("cli", "multipass", &[])];

/// Cargo's profile to build with.
const PROFILE: &str = "instructions";

/// Counts, and compares or writes down. What it returns is why nothing was counted, if so.
///
/// # Errors
/// A program could not be built or failed; or a figure is beyond its margin.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<Option<String>> {
    if let Some(why) = lacking(Policy::from_environment())? {
        println!("SKIPPED: {why}");
        return Ok(Some(format!("skipped: {why}")));
    }
    // Each by itself, as they are installed.
    for (package, program, features) in PROGRAMS {
        let build = ["build", "--profile", PROFILE, "--package", package, "--bin", program];
        run_command(cargo(workspace, build).args(features))?;
    }
    let counted = count_all(&workspace.target(PROFILE))?;
    let file = workspace.root().join("bench/instructions.toml");
    if options.update {
        fs::write(&file, counted.to_toml()).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}", counted.to_toml());
        return Ok(None);
    }
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let comparison = counted.beside(&Figures::from_toml(&text)?);
    println!("{}", comparison.table());
    match comparison.strayed() {
        0 => Ok(None),
        strayed => bail!(
            "{strayed} figures are not what {} says; if that is meant: cargo xtask instructions --update",
            file.display()
        ),
    }
}

/// Why nothing can be counted here. A machine for CI that lacks valgrind is set up wrongly.
fn lacking(policy: Policy) -> anyhow::Result<Option<String>> {
    if ARCH != "x86_64" {
        return Ok(Some(format!("the figures are of x86_64, and this is {ARCH}")));
    }
    if answer(Command::new("valgrind").arg("--version")).is_some() {
        return Ok(None);
    }
    match policy {
        Policy::Count => Ok(Some("there is no valgrind".to_owned())),
        Policy::Refuse => bail!("there is no valgrind, and CI=true: in CI everything is counted"),
    }
}

fn count_all(binaries: &Path) -> anyhow::Result<Figures> {
    let room = Room::make(binaries.join("counting"))?;
    let mut counted = Figures::default();
    for subject in &SUBJECTS {
        eprintln!("counting: {}", subject.name);
        let count = count(subject, binaries, &room.0).with_context(|| subject.name)?;
        counted.push(subject.name, count);
    }
    Ok(counted)
}

/// A directory for what the programs write; it ends with this.
struct Room(PathBuf);

impl Room {
    fn make(path: PathBuf) -> anyhow::Result<Self> {
        let room = Self(path);
        // One that was left behind by a run that broke off.
        let _ = fs::remove_dir_all(&room.0);
        let data = room.0.join(DATA);
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Where it cannot be removed, the next run will say so.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn count(subject: &Subject, binaries: &Path, room: &Path) -> anyhow::Result<u64> {
    const COUNTS: &str = "callgrind.out";
    let mut valgrind = Command::new("valgrind");
    // The same environment everywhere: the dynamic linker and the programs look through it.
    valgrind.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", room);
    valgrind.env("MULTIPASS_SERVER_ADDRESS", "unix:/nonexistent").current_dir(room);
    valgrind.args(["--quiet", "--tool=callgrind", &format!("--callgrind-out-file={COUNTS}")]);
    match subject.program {
        Program::Work => valgrind.arg("--toggle-collect=*counted*").arg(binaries.join("instructions")),
        Program::Client => valgrind.arg(binaries.join("multipass")),
    };
    valgrind.args(subject.arguments);
    let output = valgrind.stdin(Stdio::null()).output().context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let times = match subject.program {
        Program::Work => said.trim().parse().with_context(|| format!("not a number: {said:?}"))?,
        Program::Client => 1,
    };
    let text = fs::read_to_string(room.join(COUNTS)).context("valgrind has written nothing")?;
    let total = total(&text).context("valgrind has counted nothing")?;
    total.checked_div(times).context("the work was never done")
}

/// The instructions in all, from callgrind's output.
fn total(profile: &str) -> Option<u64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("totals:"))?;
    total.trim().parse().ok().filter(|total| *total > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_that_of_the_whole_program() {
        let profile = "events: Ir\nsummary: 12\n\nfn=(1) main\n16 400\n\ntotals: 317031\n";
        assert_eq!(total(profile), Some(317_031));
        // A function that was inlined, or has another name, is never entered.
        assert_eq!(total("totals: 0\n"), None);
        assert_eq!(total(""), None);
    }

    #[test]
    fn what_is_counted_is_what_is_written_down() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/instructions.toml");
        let figures = Figures::from_toml(&fs::read_to_string(file).unwrap()).unwrap();
        let names: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
        assert_eq!(figures.names(), names);
    }
}
