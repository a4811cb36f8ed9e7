//! Which release a package is of: its version, when it was made, and by whom. It follows from the commit, so that
//! the same commit gives the same package.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::answer;
use crate::workspace::Workspace;

/// A release, as Debian's files tell of it.
#[derive(Debug)]
pub(super) struct Release {
    /// As Debian writes it: `0.1.0-1`.
    pub(super) version: String,
    /// In seconds since 1970: `SOURCE_DATE_EPOCH`, or when the last commit was made.
    pub(super) made: u64,
    /// Name and address: `DEBFULLNAME` and `DEBEMAIL`, as for Debian's own tools, or who made the last commit.
    pub(super) maintainer: String,
}

impl Release {
    /// The release of this workspace's version, packaged for the `revision`th time.
    ///
    /// # Errors
    /// It is not known when it was made, or by whom: this is no checkout, and the environment says neither.
    pub(super) fn of(workspace: &Workspace, revision: u32) -> anyhow::Result<Self> {
        let ours = workspace.metadata().packages.iter().find(|package| package.name.as_str() == "daemon");
        let version = ours.context("there is no package daemon")?.version.to_string();
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let commit = |format: &str| {
            let mut git = Command::new("git");
            answer(git.current_dir(workspace.root()).args(["log", "-1", format]))
        };
        let made = variable("SOURCE_DATE_EPOCH").or_else(|| commit("--format=%ct"));
        let maintainer = variable("DEBFULLNAME")
            .zip(variable("DEBEMAIL"))
            .map(|(name, address)| format!("{name} <{address}>"))
            .or_else(|| commit("--format=%an <%ae>"));
        let made = made.context("this is no git checkout: set SOURCE_DATE_EPOCH to when it was made")?;
        let maintainer = maintainer.context("this is no git checkout: set DEBFULLNAME and DEBEMAIL")?;
        ensure!(!maintainer.contains('\n'), "a maintainer is one line: {maintainer:?}");
        let made = made.parse().with_context(|| format!("{made:?} are no seconds since 1970"))?;
        Ok(Self { version: debian_version(&version, revision), made, maintainer })
    }

    /// Debian's own changelog; the project's is beside it.
    ///
    /// # Errors
    /// The date cannot be told.
    pub(super) fn changelog(&self) -> anyhow::Result<String> {
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email", "--date", &format!("@{}", self.made)]).env("LC_ALL", "C");
        let date = answer(&mut date).context("date does not run")?;
        let Self { version, maintainer, .. } = self;
        Ok(format!(
            "multipass ({version}) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n -- \
             {maintainer}  {date}\n"
        ))
    }
}

/// Before a release are its candidates: Debian puts them there by a tilde.
fn debian_version(version: &str, revision: u32) -> String {
    format!("{}-{revision}", version.replacen('-', "~", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_before_their_release() {
        let older = debian_version("0.2.0-rc.1", 3);
        assert_eq!((older.as_str(), debian_version("0.2.0", 1).as_str()), ("0.2.0~rc.1-3", "0.2.0-1"));
    }

    #[test]
    fn the_changelog_is_as_debian_reads_it() {
        let release = Release { version: "1.2.3-1".into(), made: 86400, maintainer: "A B <a@b.org>".into() };
        let expected = "multipass (1.2.3-1) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n -- \
                        A B <a@b.org>  Fri, 02 Jan 1970 00:00:00 +0000\n";
        assert_eq!(release.changelog().unwrap(), expected);
    }
}
