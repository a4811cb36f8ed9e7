//! The audit log: what was granted and changed, and who was refused. `docs/audit.md` is its schema.
//!
//! The two are apart in everything, for strangers cause refusals at will: a grant is on disk before it is
//! done, or is not done; a refusal is counted, reported when there is time, and may be lost with the power.

mod grants;
mod refusal_writer;
mod refusals;
mod rotated_file;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use durable::private;
use serde::Serialize;

pub use grants::FileAudit;
pub use refusal_writer::RefusalWriter;
pub use refusals::Refusals;

/// The version of the schema.
const VERSION: u8 = 1;

/// The directory of the audit log in a data directory, made if it is missing. *Blocking*.
///
/// A disk that has no room for it is no error here: each grant will be one.
///
/// # Errors
/// It is another user's, a link, or cannot be used for another reason.
pub fn directory(data: &Path) -> io::Result<PathBuf> {
    let directory = data.join("audit");
    match private::directory(&directory) {
        Err(error) if is_without_room(&error) => {
            tracing::error!(
                "nothing can be granted or changed: there is no room for {}: {error}",
                directory.display()
            );
        }
        result => result?,
    }
    Ok(directory)
}

fn is_without_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
}

/// What refusals are recorded in, and what writes them to `directory`.
#[must_use]
pub fn refusals(directory: &Path) -> (Refusals, RefusalWriter) {
    let refusals = Refusals::default();
    (refusals.clone(), RefusalWriter::new(refusals, directory))
}

/// A record as one line of JSON, control characters escaped.
fn json_line(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}
