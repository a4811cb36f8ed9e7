//! A file that lines are appended to, whole or not at all, and the older files that it has become. It knows
//! nothing of what the lines say.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use durable::{Readers, private};

/// How far lines are written before that is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// The system has taken them: a power cut may lose them.
    Buffered,
    /// They survive a power cut.
    Synced,
}

/// A file of lines, bounded together with its older ones: `name.1` is the youngest of those. Several
/// processes may append to it.
#[derive(Clone, Debug)]
pub(super) struct RotatedFile {
    directory: PathBuf,
    name: &'static str,
    /// The most bytes a file may have.
    limit: u64,
    /// How many older files are kept.
    max_older: u32,
}

impl RotatedFile {
    pub(super) fn new(directory: &Path, name: &'static str, limit: u64, max_older: u32) -> Self {
        Self { directory: directory.to_owned(), name, limit, max_older }
    }

    /// Appends whole lines, each with its end. *Blocking*.
    ///
    /// # Errors
    /// They could not be written; as far as possible nothing of them is left.
    pub(super) fn append(&self, lines: &[u8], durability: Durability) -> io::Result<()> {
        // It was made when the daemon started, if there was room for it then.
        if !private::is_own_directory(&self.directory) {
            private::directory(&self.directory)?;
        }
        // Opened again each time, and by each of several writers in one process: so they exclude each other.
        let lock = private::lock_file(&self.sibling("lock"))?;
        lock.lock()?;
        let mut file = self.open()?;
        let mut length = file.metadata()?.len();
        if length > 0 && length.saturating_add(lines.len() as u64) > self.limit {
            self.rotate()?;
            file = self.open()?;
            length = file.metadata()?.len();
        }
        let written = write(&mut file, length, lines, durability);
        if written.is_err() {
            // If this fails too, the next line ends what is left.
            let _ = file.set_len(length);
        }
        written
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    fn sibling(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.name))
    }

    fn open(&self) -> io::Result<File> {
        let path = self.path();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        private::own_file(&mut options);
        let file = match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // So that its name survives a power cut, too.
                durable::replace(&path, &[], Readers::Owner)?;
                options.open(&path)?
            }
            result => result?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{} is not a regular file", path.display())));
        }
        Ok(file)
    }

    /// Makes the file the youngest of the older ones. What is beyond their number goes.
    fn rotate(&self) -> io::Result<()> {
        let older = |number: u32| self.sibling(&number.to_string());
        // Up to the first gap only, which a crash in here leaves: nothing goes before its time.
        let free = (1..self.max_older).find(|number| older(*number).symlink_metadata().is_err());
        for number in (1..free.unwrap_or(self.max_older)).rev() {
            durable::rename(&older(number), &older(number + 1))?;
        }
        durable::rename(&self.path(), &older(1))
    }
}

fn write(file: &mut File, length: u64, lines: &[u8], durability: Durability) -> io::Result<()> {
    if length > 0 {
        // A crash may have left a part of a line; it becomes a line of its own.
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(lines)?;
    match durability {
        Durability::Buffered => Ok(()),
        Durability::Synced => file.sync_data(),
    }
}
