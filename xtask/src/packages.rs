//! Debian's packages, Ubuntu's too: which are there, and how missing ones come.
//!
//! Only root on a machine with apt-get gets packages installed; everyone else is told what is missing.

use std::process::Command;

use anyhow::bail;

use crate::command::{answer, run};

/// The version that is installed, if the package is.
pub(crate) fn installed(package: &str) -> Option<String> {
    let format = "${db:Status-Status} ${Version}";
    let answer = answer(Command::new("dpkg-query").args(["--show", "--showformat", format, package]))?;
    answer.strip_prefix("installed ").map(str::to_owned)
}

/// Those that are not installed.
pub(crate) fn missing(packages: &[&str]) -> Vec<String> {
    let missing = packages.iter().filter(|package| installed(package).is_none());
    missing.map(|package| (*package).to_owned()).collect()
}

/// The version that would be installed, as far as the lists of packages on this machine tell.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let policy = answer(Command::new("apt-cache").args(["policy", package]))?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// The packages that a package depends on, in the order in which they are listed.
pub(crate) fn dependencies(package: &str) -> Vec<String> {
    let depends = answer(Command::new("apt-cache").args(["depends", package])).unwrap_or_default();
    depends
        .lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect()
}

/// Installs packages in one step, each as `name` or `name=version`.
///
/// # Errors
/// Where this is not for us to do, and where apt-get fails.
pub(crate) fn install(packages: &[String]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !may_install() {
        bail!("install what these Debian packages hold: {}", packages.join(" "));
    }
    let install = || {
        run(apt_get()
            .args(["install", "--yes", "--no-install-recommends", "--allow-downgrades"])
            .args(packages))
    };
    // The lists of packages are missing or old on most fresh machines, but fetching them is not always needed.
    install().or_else(|_| {
        update()?;
        install()
    })
}

/// Fetches the lists of packages again.
///
/// # Errors
/// Where this is not for us to do, and where apt-get fails.
pub(crate) fn update() -> anyhow::Result<()> {
    if !may_install() {
        bail!("fetch the lists of packages: sudo apt-get update");
    }
    run(apt_get().arg("update"))
}

fn may_install() -> bool {
    let root = answer(Command::new("id").arg("-u")).is_some_and(|uid| uid == "0");
    root && answer(Command::new("apt-get").arg("--version")).is_some()
}

fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}
