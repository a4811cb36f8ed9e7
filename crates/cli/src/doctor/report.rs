//! What was found: for each check a verdict, in the order of the checks.

use crate::error::Error;

/// What is wrong, and how it is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// What is wrong.
    pub(crate) cause: String,
    /// What to do about it; what goes on with a command ends in a colon.
    pub(crate) advice: String,
    /// The command that does it, as a shell takes it.
    pub(crate) command: Option<String>,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In order.
    Passed(String),
    /// Out of order, and not in the way.
    Warning(Diagnosis),
    /// In the way.
    Problem(Diagnosis),
    /// Not looked at.
    Skipped(String),
}

impl Verdict {
    pub(crate) fn passed(what: impl Into<String>) -> Self {
        Self::Passed(what.into())
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    pub(super) fn problem(
        cause: impl Into<String>,
        advice: impl Into<String>,
        command: Option<String>,
    ) -> Self {
        Self::Problem(Diagnosis { cause: cause.into(), advice: advice.into(), command })
    }

    pub(super) fn warning(
        cause: impl Into<String>,
        advice: impl Into<String>,
        command: Option<String>,
    ) -> Self {
        Self::Warning(Diagnosis { cause: cause.into(), advice: advice.into(), command })
    }

    /// A problem of which no more is known than the error says.
    pub(super) fn of_error(error: &Error) -> Self {
        Self::problem(error.message(), error.next_step().unwrap_or_default(), None)
    }

    /// Its name.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Passed(_) => "ok",
            Self::Warning(_) => "warning",
            Self::Problem(_) => "problem",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// A check and its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The check's name.
    pub(crate) check: &'static str,
    /// What it came to.
    pub(crate) verdict: Verdict,
}

/// All findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    /// In the order of the checks.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// How much is in the way.
    pub(crate) fn problems(&self) -> usize {
        self.0.iter().filter(|finding| matches!(finding.verdict, Verdict::Problem(_))).count()
    }

    /// Adds a verdict.
    pub(crate) fn add(&mut self, check: &'static str, verdict: Verdict) {
        self.0.push(Finding { check, verdict });
    }

    /// Adds a verdict, and hands out what later checks go on with.
    pub(super) fn take<T>(
        &mut self,
        check: &'static str,
        looked: Result<(T, Verdict), Verdict>,
    ) -> Option<T> {
        let (found, verdict) = match looked {
            Ok((found, verdict)) => (Some(found), verdict),
            Err(verdict) => (None, verdict),
        };
        self.add(check, verdict);
        found
    }

    /// Says that checks were left out, for what is in the way already.
    pub(super) fn skip_all(&mut self, checks: &[&'static str]) {
        let in_the_way = |finding: &&Finding| matches!(finding.verdict, Verdict::Problem(_));
        let why = match self.0.iter().find(in_the_way) {
            Some(first) => format!("fix '{}' first", first.check),
            None => "what it depends on could not be checked".to_owned(),
        };
        for check in checks {
            self.add(check, Verdict::skipped(why.clone()));
        }
    }
}
