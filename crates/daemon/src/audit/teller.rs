//! Telling of refusals, in the log and in a file, on a task of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::line_file::{LineFile, Until};
use super::refusals::{Refusal, Refusals};
use super::{VERSION, json_line, rfc3339};

/// The most bytes a file of refusals may have.
const LIMIT: u64 = 1024 * 1024;
/// How many older files of refusals are kept.
const OLDER: u32 = 3;

/// Tells of refusals: who runs it waits for files, nobody else does.
#[derive(Debug)]
pub struct Teller {
    refusals: Refusals,
    pen: Arc<Pen>,
}

#[derive(Debug)]
struct Pen {
    file: LineFile,
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

impl Teller {
    pub(super) fn new(refusals: Refusals, directory: &Path) -> Self {
        let file = LineFile::new(directory, "refusals.jsonl", LIMIT, OLDER);
        Self { refusals, pen: Arc::new(Pen { file, failing: AtomicBool::new(false) }) }
    }

    /// Tells of refusals until `stop`, then of what was not told yet.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = self.refusals.news() => false,
            };
            let due = if stopped { self.refusals.take_all() } else { self.refusals.take_due() };
            if !due.is_empty() {
                let pen = Arc::clone(&self.pen);
                // If it panics, the panic was logged, and the next ones are told all the same.
                let _ = tokio::task::spawn_blocking(move || pen.tell(&due)).await;
            }
            if stopped {
                return;
            }
        }
    }
}

impl Pen {
    fn tell(&self, due: &[Refusal]) {
        due.iter().for_each(log);
        let now = SystemTime::now();
        let lines: Result<Vec<Vec<u8>>, _> =
            due.iter().map(|refusal| json_line(&Record::of(refusal, now))).collect();
        match lines.and_then(|lines| self.file.append(&lines.concat(), Until::Taken)) {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            // Said once, not at each of the many that may fail in a row.
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::error!("refusals are only in this log for now: {error}");
            }
            Err(_) => {}
        }
    }
}

fn log(refusal: &Refusal) {
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
            time: rfc3339(now),
            event: "refused",
            method: refusal.method,
            from: &refusal.from,
            client: refusal.client.map(|client| client.to_string()),
            reason: refusal.reason,
            count: refusal.count,
            since: rfc3339(refusal.since),
        }
    }
}
