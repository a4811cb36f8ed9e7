//! Writing refusals to the log and to a file, on a task of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::refusals::{Refusal, Refusals};
use super::rotated_file::{Durability, RotatedFile};
use super::{VERSION, json_line};
use crate::timestamp::rfc3339_micros;

/// The most bytes a file of refusals may have.
const MAX_BYTES: u64 = 1024 * 1024;
/// How many older files of refusals are kept.
const MAX_OLDER: u32 = 3;

/// Writes refusals: who runs it waits for files, nobody else does.
#[derive(Debug)]
pub struct RefusalWriter {
    refusals: Refusals,
    log: Arc<RefusalLog>,
}

#[derive(Debug)]
struct RefusalLog {
    file: RotatedFile,
    failing: AtomicBool,
}

/// A line of the file. The fields' order is the schema's.
#[derive(Serialize)]
struct Record<'a> {
    v: u8,
    time: String,
    event: &'static str,
    method: Option<&'static str>,
    from: &'a str,
    client: Option<String>,
    reason: Option<&'static str>,
    count: u64,
    since: String,
}

impl RefusalWriter {
    pub(super) fn new(refusals: Refusals, directory: &Path) -> Self {
        let file = RotatedFile::new(directory, "refusals.jsonl", MAX_BYTES, MAX_OLDER);
        Self { refusals, log: Arc::new(RefusalLog { file, failing: AtomicBool::new(false) }) }
    }

    /// Writes refusals until `stop`, then those that were not reported yet.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = self.refusals.due() => false,
            };
            let due = if stopped { self.refusals.take_all() } else { self.refusals.take_due() };
            if !due.is_empty() {
                let log = Arc::clone(&self.log);
                // If it panics, the panic was logged, and the next ones are written all the same.
                let _ = tokio::task::spawn_blocking(move || log.write(&due)).await;
            }
            if stopped {
                return;
            }
        }
    }
}

impl RefusalLog {
    fn write(&self, due: &[Refusal]) {
        due.iter().for_each(log_refusal);
        let now = SystemTime::now();
        let lines: Result<Vec<Vec<u8>>, _> =
            due.iter().map(|refusal| json_line(&Record::of(refusal, now))).collect();
        match lines.and_then(|lines| self.file.append(&lines.concat(), Durability::Buffered)) {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            // Said once, not at each of the many that may fail in a row.
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::error!("refusals are only in this log for now: {error}");
            }
            Err(_) => {}
        }
    }
}

fn log_refusal(refusal: &Refusal) {
    let (method, from, text) = (refusal.method.unwrap_or("calls"), &refusal.from, &refusal.text);
    let more = match refusal.within {
        Some(within) => format!(" ({} more times in the last {} s)", refusal.count, within.as_secs()),
        None => String::new(),
    };
    match refusal.fault {
        true => tracing::error!("{method} from {from}: {text}{more}"),
        false => tracing::info!("refused {method} from {from}: {text}{more}"),
    }
}

impl<'a> Record<'a> {
    fn of(refusal: &'a Refusal, now: SystemTime) -> Self {
        Self {
            v: VERSION,
            time: rfc3339_micros(now),
            event: "refused",
            method: refusal.method,
            from: &refusal.from,
            client: refusal.client.map(|client| client.to_string()),
            reason: refusal.reason,
            count: refusal.count,
            since: rfc3339_micros(refusal.since),
        }
    }
}
