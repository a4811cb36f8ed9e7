//! Grants and changes in a file: on disk before they are done.

use std::io;
use std::path::Path;

use auth_core::{Audit, Entry};
use serde::Serialize;

use super::rotated_file::{Durability, RotatedFile};
use super::{VERSION, json_line};
use crate::timestamp::rfc3339_micros;

/// The most bytes a file of grants may have: some 30,000 entries.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// How many older files of grants are kept.
const MAX_OLDER: u32 = 9;

/// Grants and changes, appended to `grants.jsonl`. Several of these, in several processes, may use one
/// directory.
#[derive(Debug)]
pub struct FileAudit {
    file: RotatedFile,
}

/// A line of the file. The fields' order is the schema's.
#[derive(Serialize)]
struct Record {
    v: u8,
    time: String,
    event: &'static str,
    by: String,
    from: Option<String>,
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl FileAudit {
    /// Keeps the record in `directory`, which [`directory`](super::directory) gives.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { file: RotatedFile::new(directory, "grants.jsonl", MAX_BYTES, MAX_OLDER) }
    }
}

impl Audit for FileAudit {
    fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        let record = Record {
            v: VERSION,
            time: rfc3339_micros(entry.at),
            event: entry.event.name(),
            by: entry.by.to_string(),
            from: entry.from.map(ToString::to_string),
            client: entry.client.map(|client| client.to_string()),
            token: entry.token.map(|token| token.to_string()),
        };
        self.file.append(&json_line(&record)?, Durability::Synced)
    }
}
