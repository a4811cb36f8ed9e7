//! What the files of clients say of one: one comment line ahead of its block, which the stock service
//! ignores.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Condition, Enrolment, TrustedClient};
use crate::{ClientName, Fingerprint, Level};

const MARK: &str = "# multipass-client:";
/// People may write such lines too: what is longer is not one of ours.
const LONGEST_VALUE: usize = 64;

/// The line, with its newline. A client that is enrolled without a name keeps the one that it had.
pub(super) fn write(enrolment: &Enrolment<'_>, had: Option<&ClientName>) -> String {
    let how = match enrolment.condition {
        Condition::FirstClient => "first-client",
        Condition::FirstByInstaller => "installer",
        Condition::PassphraseIs(_) => "passphrase",
        Condition::WantedBy(_) => "added",
        Condition::Token { .. } => "token",
    };
    let mut line = beginning(enrolment.at, how);
    if let Some(channel) = enrolment.channel {
        line.push_str(&format!(" from={channel}"));
    }
    if let Condition::Token { token, .. } = &enrolment.condition {
        line.push_str(&format!(" by={} token={}", token.by, token.id));
    }
    if let Some(name) = enrolment.name.or(had) {
        line.push_str(&format!(" name={name}"));
    }
    line.push('\n');
    line
}

/// The line of a client that is taken over from a stock service, which knows no more of it than that it is trusted.
pub(super) fn of_migrated(at: SystemTime) -> String {
    beginning(at, "migrated") + "\n"
}

fn beginning(at: SystemTime, how: &str) -> String {
    // The format has no years before 1970, which a clock that was never set may show.
    let added = humantime::format_rfc3339_seconds(at.max(UNIX_EPOCH));
    format!("{MARK} added={added} how={how}")
}

/// What the text ahead of a block says of its client.
pub(super) fn read(before: &[u8], fingerprint: Fingerprint, level: Level) -> TrustedClient {
    let mut client = TrustedClient::unknown(fingerprint, level);
    let line = before.get(start(before)..).and_then(|line| str::from_utf8(line).ok()).unwrap_or_default();
    for (key, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
        if value.is_empty() || value.len() > LONGEST_VALUE || !value.bytes().all(|b| b.is_ascii_graphic()) {
            continue;
        }
        let field = match key {
            "added" => &mut client.added,
            "how" => &mut client.how,
            "from" => &mut client.from,
            "name" => &mut client.name,
            _ => continue,
        };
        *field = Some(value.to_owned());
    }
    client
}

/// A client's line, or none, with another name in it.
pub(super) fn renamed(line: &[u8], name: &ClientName) -> String {
    let line = str::from_utf8(line).unwrap_or_default();
    let kept = line
        .split_whitespace()
        .skip_while(|word| !word.contains('='))
        .filter(|word| !word.starts_with("name="));
    let words: String = kept.map(|word| format!(" {word}")).collect();
    format!("{MARK}{words} name={name}\n")
}

/// Where the line begins in the text ahead of a block; at its end if there is no such line.
pub(super) fn start(before: &[u8]) -> usize {
    let lines = before.strip_suffix(b"\n").unwrap_or(before);
    let start = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let is_ours =
        before.ends_with(b"\n") && before.get(start..).is_some_and(|line| line.starts_with(MARK.as_bytes()));
    if is_ours { start } else { before.len() }
}
