//! Tests that could not run: they say so in a file, and are counted here.
//!
//! A test that lacks something (root, another program) appends a line `SKIPPED: why` to the file that
//! `MULTIPASS_TEST_SKIPS` names. On a person's machine that is a note; in CI it is a failure.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use anyhow::{Context, bail};

/// The variable that names the file to the tests.
pub(crate) const FILE_VARIABLE: &str = "MULTIPASS_TEST_SKIPS";

/// Whether tests may be left out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// A person's machine may lack things.
    Count,
    /// CI is set up to run everything.
    Refuse,
}

impl Policy {
    /// What the environment asks for: `CI=true` is what every CI service sets.
    pub(crate) fn from_environment() -> Self {
        if env::var_os("CI").is_some_and(|ci| ci == "true") { Self::Refuse } else { Self::Count }
    }
}

/// Makes the file empty, so that only this run's skips are in it.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn start(file: &Path) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))
}

/// Adds a line, for what is no test of cargo's.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn add(file: &Path, why: &str) -> anyhow::Result<()> {
    let added = fs::File::options().append(true).open(file);
    let added = added.and_then(|mut opened| writeln!(opened, "SKIPPED: {why}"));
    added.with_context(|| format!("cannot write {}", file.display()))
}

/// The lines of this run's skips.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<String>> {
    let skips = match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // `start` made it: who removed it took the evidence along.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{} is gone: nobody knows what was skipped", file.display())
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    Ok(skips.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// Prints each skip and their count, and returns the count in words, or nothing when there was none.
///
/// # Errors
/// Where the file cannot be read, and under [`Policy::Refuse`] where a test was skipped.
pub(crate) fn report(file: &Path, policy: Policy) -> anyhow::Result<Option<String>> {
    let skips = read(file)?;
    for skip in &skips {
        println!("{skip}");
    }
    println!("{} tests skipped", skips.len());
    match (skips.len(), policy) {
        (0, _) => Ok(None),
        (count, Policy::Count) => Ok(Some(format!("{count} skipped"))),
        (count, Policy::Refuse) => bail!("{count} skipped, and CI=true: in CI every test runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(name: &str, lines: &str, policy: Policy) -> anyhow::Result<Option<String>> {
        let file = env::temp_dir().join(format!("xtask-skips-{}-{name}", std::process::id()));
        start(&file).unwrap();
        fs::write(&file, lines).unwrap();
        let report = report(&file, policy);
        fs::remove_file(&file).unwrap();
        report
    }

    #[test]
    fn skips_are_counted_and_refused_in_ci() {
        let two = "SKIPPED: needs root\n\nSKIPPED: no openssl\n";
        assert_eq!(reported("none", "", Policy::Refuse).unwrap(), None);
        assert_eq!(reported("two", two, Policy::Count).unwrap().as_deref(), Some("2 skipped"));
        let refused = reported("ci", two, Policy::Refuse).unwrap_err();
        assert_eq!(refused.to_string(), "2 skipped, and CI=true: in CI every test runs");
    }

    #[test]
    fn start_forgets_the_last_run() {
        let file = env::temp_dir().join(format!("xtask-skips-{}-start", std::process::id()));
        fs::write(&file, "SKIPPED: long ago\n").unwrap();
        start(&file).unwrap();
        let report = report(&file, Policy::Refuse);
        fs::remove_file(&file).unwrap();
        assert_eq!(report.unwrap(), None);
    }

    #[test]
    fn a_lost_file_is_an_error() {
        let file = env::temp_dir().join(format!("xtask-skips-{}-lost", std::process::id()));
        assert!(report(&file, Policy::Count).is_err());
    }
}
