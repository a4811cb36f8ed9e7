//! Output of `doctor`.

use serde_json::{Map, Value, json};

use crate::args::Format;
use crate::doctor::{Finding, Report, Verdict};
use crate::error::Error;
use crate::terminal::text;

/// The columns of status and check; what follows them is filled.
const STATUS: usize = 9;
const CHECK: usize = 20;

/// What was found.
///
/// # Errors
/// It cannot be put into `format`.
pub(crate) fn report(report: &Report, format: Format) -> Result<String, Error> {
    let findings = report.findings();
    match format {
        Format::Table => Ok(findings.iter().map(lines).collect::<String>() + &conclusion(report)),
        Format::Json => super::json(&Value::Object(entries(report))),
        Format::Yaml => super::yaml(entries(report)),
        Format::Csv => super::csv(
            &["Check", "Status", "Message", "Advice", "Command"],
            findings.iter().map(|finding| {
                let (message, advice, command) = parts(&finding.verdict);
                [finding.check, finding.verdict.status(), message, advice, command].map(str::to_owned).into()
            }),
        ),
    }
}

fn conclusion(report: &Report) -> String {
    match report.problems() {
        0 => "\nThis client can use the service.\n".to_owned(),
        _ => "\nThis client cannot use the service. Fix the first problem, then run it again.\n".to_owned(),
    }
}

fn lines(finding: &Finding) -> String {
    let indent = STATUS + CHECK;
    let (message, advice, command) = parts(&finding.verdict);
    let filled = |text: &str| text::wrap(&text::printable(text), indent);
    let mut lines =
        format!("{:STATUS$}{:CHECK$}{}\n", finding.verdict.status(), finding.check, filled(message));
    if !advice.is_empty() {
        lines.push_str(&format!("{:indent$}{}\n", "", filled(advice)));
    }
    if !command.is_empty() {
        // Not filled: it is to be copied.
        lines.push_str(&format!("{:indent$}  {}\n", "", text::one_line(command)));
    }
    lines
}

fn entries(report: &Report) -> Map<String, Value> {
    let checks: Vec<Value> = report
        .findings()
        .iter()
        .map(|finding| {
            let (message, advice, command) = parts(&finding.verdict);
            json!({
                "check": finding.check,
                "status": finding.verdict.status(),
                "message": message,
                "advice": advice,
                "command": command,
            })
        })
        .collect();
    Map::from_iter([
        ("works".to_owned(), Value::from(report.problems() == 0)),
        ("checks".to_owned(), Value::from(checks)),
    ])
}

/// What is said, what to do about it, and the command that does it; the last two may be empty.
fn parts(verdict: &Verdict) -> (&str, &str, &str) {
    match verdict {
        Verdict::Passed(what) => (what, "", ""),
        Verdict::Skipped(why) => (why, "", ""),
        Verdict::Warning(diagnosis) | Verdict::Problem(diagnosis) => {
            (&diagnosis.cause, &diagnosis.advice, diagnosis.command.as_deref().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Diagnosis;

    fn example() -> Report {
        let mut example = Report::default();
        example.add("address", Verdict::passed("unix:/s (default)"));
        let diagnosis = Diagnosis {
            cause: "there is no socket /s: the service does not run, or listens \u{1b}elsewhere".to_owned(),
            advice: "Start it:".to_owned(),
            command: Some("sudo multipassd".to_owned()),
        };
        example.add("socket", Verdict::Problem(diagnosis));
        example.add("trust", Verdict::skipped("no"));
        example
    }

    #[test]
    fn each_form_has_cause_and_command() {
        let table = "\
ok       address             unix:/s (default)
problem  socket              there is no socket /s: the service does not run, or
                             listens elsewhere
                             Start it:
                               sudo multipassd
skipped  trust               no

This client cannot use the service. Fix the first problem, then run it again.
";
        assert_eq!(report(&example(), Format::Table).expect("text"), table);
        let json: Value =
            serde_json::from_str(&report(&example(), Format::Json).expect("text")).expect("JSON");
        assert_eq!(json["works"], false);
        assert_eq!(json["checks"][1]["status"], "problem");
        assert_eq!(json["checks"][1]["command"], "sudo multipassd");
        assert_eq!(json["checks"][2]["command"], "");
        let csv = report(&example(), Format::Csv).expect("text");
        assert!(
            csv.starts_with("Check,Status,Message,Advice,Command\naddress,ok,unix:/s (default),,\n"),
            "{csv}"
        );
        let yaml = report(&example(), Format::Yaml).expect("text");
        assert!(yaml.starts_with("works: false\nchecks:\n  - check: address\n"), "{yaml}");
    }

    #[test]
    fn a_warning_is_not_in_the_way() {
        let mut fine = Report::default();
        let diagnosis = Diagnosis { cause: "old".to_owned(), advice: String::new(), command: None };
        fine.add("clock", Verdict::Warning(diagnosis));
        let table = "warning  clock               old\n\nThis client can use the service.\n";
        assert_eq!(report(&fine, Format::Table).expect("text"), table);
    }
}
