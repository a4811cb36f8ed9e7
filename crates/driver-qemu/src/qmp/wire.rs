//! The lines of QMP.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line, in bytes: far more than what answers our commands.
pub(super) const LONGEST: u64 = 64 * 1024;

/// What QEMU says.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to a command.
    Reply(Reply),
    /// The machine is about to end.
    Shutdown(Shutdown),
    /// A disk could not be written, and the machine is halted for it.
    Halted,
    /// Another event.
    Other,
}

/// The answer to the command of this number.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: u64,
    pub(super) answer: Result<Value, String>,
}

/// Why the machine ends.
#[derive(Debug, Deserialize)]
pub(super) struct Shutdown {
    /// Whether the guest wants it.
    pub(super) guest: bool,
    pub(super) reason: String,
}

#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(rename = "return")]
    done: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

/// A line without its end, or `None` at the end of all lines.
pub(super) async fn next_line(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let length = read.take(LONGEST).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if length as u64 == LONGEST => Err(io::Error::other("a line of QMP is too long")),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What a line says, if it is one of QMP's.
pub(super) fn parse(line: &[u8]) -> Option<Incoming> {
    let line: Line = serde_json::from_slice(line).ok()?;
    match line {
        Line { event: Some(event), data, .. } if event == "SHUTDOWN" => {
            serde_json::from_value(data).ok().map(Incoming::Shutdown)
        }
        Line { event: Some(event), data, .. }
            if event == "BLOCK_IO_ERROR" && data.get("action").is_some_and(|action| action == "stop") =>
        {
            Some(Incoming::Halted)
        }
        Line { event: Some(_), .. } => Some(Incoming::Other),
        Line { id: Some(id), error: Some(refusal), .. } => {
            Some(Incoming::Reply(Reply { id, answer: Err(printable(&refusal.desc)) }))
        }
        Line { id: Some(id), done: Some(value), .. } => {
            Some(Incoming::Reply(Reply { id, answer: Ok(value) }))
        }
        _ => None,
    }
}

/// A command as a line.
///
/// # Errors
/// Its arguments cannot be written as JSON.
pub(super) fn command(name: &str, arguments: &impl Serialize, id: u64) -> serde_json::Result<Vec<u8>> {
    let arguments = serde_json::to_value(arguments)?;
    let command = serde_json::json!({ "execute": name, "arguments": arguments, "id": id });
    let mut line = serde_json::to_vec(&command)?;
    line.push(b'\n');
    Ok(line)
}

/// What QEMU says, fit for a terminal and a log: one line, and not too much of it.
pub(crate) fn printable(text: &str) -> String {
    const MOST: usize = 1000;
    let text = text.trim();
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
