//! A list that this client keeps for its user, in a text file: a line for each entry, comments between them.
//!
//! What the lines say is the matter of who keeps the list. Here it is read only as one that nobody else can change,
//! and changed as a whole, by one client at a time.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::files::{self, FileError};
use crate::platform::{self, HOME_VARIABLE};

/// Longer lists are none of ours, in bytes: some 10,000 entries.
pub(crate) const MAX_SIZE: u64 = 1024 * 1024;

/// A list, as it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListSpec {
    /// The file's name.
    pub(crate) file: &'static str,
    /// Its entries, in a sentence.
    pub(crate) entries: &'static str,
    /// What a new file begins with.
    pub(crate) header: &'static str,
}

/// What becomes of an entry that is there already for the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// It stays, and the new one is refused.
    Refuse,
    /// The new one replaces it: the user has named that on purpose.
    Replace,
}

/// Why it is not known what a list says.
#[derive(Debug, Error)]
pub(crate) enum ListError {
    /// The environment does not tell where the user's files are.
    #[error("cannot tell where your {0} belong: {HOME_VARIABLE} is not set")]
    NoHome(&'static str),
    /// Root was pointed at a directory that another user has in his hands.
    #[error("{} belongs to another user, and root keeps no {entries} there", directory.display())]
    NotOwn {
        /// What is kept there.
        entries: &'static str,
        /// The directory.
        directory: PathBuf,
    },
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else may have written there.
    #[error("other users can change the list of {entries}, {}", path.display())]
    OpenToOthers {
        /// What is listed.
        entries: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A line says nothing, or something other than the lines before it.
    #[error("line {line} of the list of {entries}, {path}, {what}", path = path.display())]
    Damaged {
        /// What is listed.
        entries: &'static str,
        /// The file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl ListError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::NoHome(_) => format!("Set {HOME_VARIABLE} to your home directory."),
            Self::NotOwn { .. } => format!(
                "Run the command without sudo; or, as root, set {HOME_VARIABLE} to root's own home directory: \
                 `sudo -H`."
            ),
            Self::File(fault) => fault.next_step(),
            Self::OpenToOthers { path, .. } => {
                format!(
                    "Check that every line is yours, then run `{}`.",
                    platform::restrict_command(&path.display().to_string())
                )
            }
            Self::Damaged { .. } => {
                "Fix the line, or delete it: what it stands for is then forgotten.".to_owned()
            }
        }
    }
}

/// The user's list that a spec describes.
#[derive(Debug)]
pub(crate) struct ListFile {
    directory: PathBuf,
    spec: ListSpec,
}

impl ListFile {
    /// The current user's; nothing is read or created yet.
    ///
    /// # Errors
    /// The environment does not tell where it is, or leads root to where another user decides what root relies on.
    pub(crate) fn of_user(spec: ListSpec) -> Result<Self, ListError> {
        let directory = platform::own_directory().ok_or(ListError::NoHome(spec.entries))?;
        if !platform::is_own(&directory) {
            return Err(ListError::NotOwn { entries: spec.entries, directory });
        }
        Ok(Self { directory, spec })
    }

    /// The one in that directory.
    #[cfg(test)]
    pub(crate) fn in_directory(directory: PathBuf, spec: ListSpec) -> Self {
        Self { directory, spec }
    }

    /// The file, which may not exist.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(self.spec.file)
    }

    /// That this is wrong with a line.
    pub(crate) fn damaged(&self, line: usize, what: &'static str) -> ListError {
        ListError::Damaged { entries: self.spec.entries, path: self.path(), line, what }
    }

    /// The list's text; empty if there is none.
    ///
    /// # Errors
    /// It cannot be read, or others can change it.
    pub(crate) fn read(&self) -> Result<String, ListError> {
        let path = self.path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(FileError::io("read", &path)(error).into()),
        };
        if platform::others_may_change(&file).map_err(FileError::io("read", &path))? {
            return Err(ListError::OpenToOthers { entries: self.spec.entries, path });
        }
        let bytes = files::read_bounded(file, MAX_SIZE);
        let text = bytes.and_then(|bytes| io::read_to_string(bytes.as_slice()));
        Ok(text.map_err(FileError::io("read", &path))?)
    }

    /// Replaces the list by what `change` makes of its lines, which are the header where there is no list yet. Other
    /// clients wait meanwhile.
    ///
    /// # Errors
    /// The list cannot be read or written, or those of `change`; it is as it was then.
    pub(crate) fn change<T, E: From<ListError>>(
        &self,
        change: impl FnOnce(&mut Vec<String>) -> Result<T, E>,
    ) -> Result<T, E> {
        files::create_directory(&self.directory).map_err(|error| {
            ListError::from(FileError::io("create the directory", &self.directory)(error))
        })?;
        let lock = self.directory.join(format!(".{}.lock", self.spec.file));
        let _held = files::lock(&lock).map_err(ListError::from)?;
        let before = self.read()?;
        let text = if before.is_empty() { self.spec.header } else { &before };
        let mut lines = text.lines().map(str::to_owned).collect();
        let done = change(&mut lines)?;
        let after = lines.join("\n") + "\n";
        let written = match after.len() as u64 > MAX_SIZE {
            true => Err(files::too_long(MAX_SIZE)),
            false => files::replace(&self.directory, self.spec.file, after.as_bytes()),
        };
        written.map_err(|error| ListError::from(FileError::io("write", &self.path())(error)))?;
        Ok(done)
    }
}

/// The lines of a list that say something, with their numbers.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let says_something = |(_, content): &(usize, &str)| !content.is_empty() && !content.starts_with('#');
    (1..).zip(text.lines()).map(|(line, content)| (line, content.trim())).filter(says_something)
}
