//! What `ci` needs beside the Rust toolchain, installed where it is missing: cargo's subcommands, programs
//! from Debian packages, a Python with the packages that the tests use.
//!
//! What is there is left alone, and what may not be installed here is named.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::{answer, cargo, run};
use crate::workspace::Workspace;
use crate::{guest_image, packages};

/// A subcommand of cargo that comes from crates.io.
struct CargoTool {
    subcommand: &'static str,
    package: &'static str,
    version: &'static str,
    features: &'static [&'static str],
}

const CARGO_TOOLS: [CargoTool; 2] = [
    CargoTool {
        subcommand: "nextest",
        package: "cargo-nextest",
        version: "0.9.151",
        // Without the code to update itself, which brings TLS and archive crates.
        features: &["--no-default-features", "--features", "default-no-update"],
    },
    CargoTool {
        subcommand: "deny",
        package: "cargo-deny",
        version: "0.20.2",
        features: &["--no-default-features"],
    },
];

/// A program that the tests or `instructions` start, with the Debian package that it is in.
struct Program {
    name: &'static str,
    arguments: &'static [&'static str],
    package: &'static str,
}

const PROGRAMS: [Program; 8] = [
    Program { name: "openssl", arguments: &["version"], package: "openssl" },
    // Debian's python3 has no ensurepip: `python3 -m venv` fails for lack of it.
    Program { name: "python3", arguments: &["-c", "import ensurepip, venv"], package: "python3-venv" },
    Program { name: "ss", arguments: &["--version"], package: "iproute2" },
    Program { name: "setpriv", arguments: &["--version"], package: "util-linux" },
    Program { name: "valgrind", arguments: &["--version"], package: "valgrind" },
    // The shells that `multipass completions` writes for, beside bash, and what shows its man pages.
    Program { name: "zsh", arguments: &["--version"], package: "zsh" },
    Program { name: "fish", arguments: &["--version"], package: "fish" },
    Program { name: "man", arguments: &["--version"], package: "man-db" },
];

/// Installs what is missing. Each is tried even where another could not be had.
///
/// # Errors
/// Where anything is still missing at the end; it names all of that.
pub(crate) fn install(workspace: &Workspace) -> anyhow::Result<()> {
    let mut outcomes = vec![
        debian_packages(),
        qemu(),
        guest_image::install_packages(),
        // `cargo deny --offline` reads the sources of every dependency, those of other platforms too.
        run(&mut cargo(workspace, ["fetch", "--locked"])),
        python_environment(workspace),
    ];
    outcomes.extend(CARGO_TOOLS.iter().map(|tool| cargo_tool(workspace, tool)));
    let missing: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

/// The Python of the tests, where [`install`] has made it.
pub(crate) fn python(workspace: &Workspace) -> Option<PathBuf> {
    let python = workspace.target("python/bin/python");
    python.exists().then_some(python)
}

fn cargo_tool(workspace: &Workspace, tool: &CargoTool) -> anyhow::Result<()> {
    if let Some(version) = answer(&mut cargo(workspace, [tool.subcommand, "--version"])) {
        if !version.contains(tool.version) {
            println!("{}: this machine has another than {}, and keeps it", tool.package, tool.version);
        }
        return Ok(());
    }
    // Unoptimised and without debug information: on two cores cargo-deny takes 74 s to build instead of 229 s,
    // and 1.3 s to check instead of 0.6 s.
    let mut install = cargo(workspace, ["install", "--locked", "--debug", tool.package]);
    install.args(["--version", tool.version]).args(tool.features).env("CARGO_PROFILE_DEV_DEBUG", "0");
    run(&mut install)
}

fn debian_packages() -> anyhow::Result<()> {
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|program| answer(Command::new(program.name).args(program.arguments)).is_none())
        .map(|program| program.package.to_owned())
        .collect();
    packages::install(&missing)
}

/// QEMU and its tools, which have to be of one version.
fn qemu() -> anyhow::Result<()> {
    let there = |program: &str| answer(Command::new(program).arg("--version")).is_some();
    if there("qemu-system-x86_64") && there("qemu-img") {
        return Ok(());
    }
    let both = ["qemu-system-x86", "qemu-utils"];
    packages::install(&both.map(str::to_owned)).or_else(|error| {
        // Some machines have newer tools than the QEMU that they can get, and apt takes no older ones unasked.
        let version = packages::candidate("qemu-system-x86");
        match (version, packages::installed("qemu-utils")) {
            (Some(version), Some(other)) if version != other => {
                packages::install(&both.map(|package| format!("{package}={version}")))
            }
            _ => Err(error),
        }
    })
}

/// Makes `target/python` hold exactly what `tests/python/requirements.txt` says; it is made again only when
/// that file has changed.
fn python_environment(workspace: &Workspace) -> anyhow::Result<()> {
    let requirements = workspace.root().join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = workspace.target("python");
    let python = folder.join("bin/python");
    // Written last, so that an installation which broke off is not taken for a whole one.
    let stamp = folder.join("requirements.stamp");
    let runs = answer(Command::new(&python).arg("--version")).is_some();
    if runs && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
