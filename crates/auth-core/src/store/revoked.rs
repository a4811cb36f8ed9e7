//! The text of the file of revoked clients, which is ours alone: a line for each, its fingerprint and when.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Fingerprint;

/// Clients that are not trusted whatever the trust file says, each with when that was decided, as written.
pub(super) type Revoked = BTreeMap<Fingerprint, String>;

/// When a client is revoked, as it is written.
pub(super) fn moment(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at.max(UNIX_EPOCH)).to_string()
}

pub(super) fn write(revoked: &Revoked) -> String {
    revoked.iter().map(|(client, at)| format!("{client} {at}\n")).collect()
}

/// What the file says, or the number of the line that says nothing. To pass over it might be to trust again.
pub(super) fn read(text: &[u8]) -> Result<Revoked, usize> {
    let text = str::from_utf8(text)
        .map_err(|error| 1 + text.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count())?;
    let mut revoked = Revoked::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        let (client, at) = line.split_once(' ').unwrap_or((line, ""));
        revoked.insert(client.parse().map_err(|_| number)?, at.trim().to_owned());
    }
    Ok(revoked)
}
