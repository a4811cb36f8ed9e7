//! Remotes: services that the user calls by a name, in a text file of the user's, a line for each with its name, the
//! fingerprint of its root and its address. What a remote has to prove itself by is in its line and nowhere else.
//!
//! All of the file has to be understood: a command must not go to another service than the one meant because of a
//! slip.

mod error;
mod remote;

use std::io;
use std::path::PathBuf;

use crate::files::list::{self, ListError, ListFile, ListSpec, OnConflict};
use crate::platform;
pub(crate) use error::RemotesError;
pub(crate) use remote::{InvalidRemoteName, Remote, RemoteName};

const SPEC: ListSpec = ListSpec {
    file: "remotes",
    entries: "remotes",
    header: "\
# The services that multipass calls by a name. A line has the name, the fingerprint of the root there, and the address.
# The fingerprint is - where the system's own root certificate counts. `multipass remote` writes it.
",
};
/// Begins the line that tells which remote is the default. No name has a colon.
const DEFAULT: &str = "default:";

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteList {
    /// The remotes, in the order in which they were added, without the built-in one.
    pub(crate) remotes: Vec<Remote>,
    default: Option<RemoteName>,
}

impl RemoteList {
    /// The remote of that name, also the built-in one.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(&self, name: &RemoteName) -> Result<Remote, RemotesError> {
        if name.is_local() {
            return Ok(Remote::local());
        }
        let found = self.remotes.iter().find(|remote| remote.name == *name);
        found.cloned().ok_or_else(|| RemotesError::Unknown(name.clone()))
    }

    /// The default remote's name.
    pub(crate) fn default_name(&self) -> RemoteName {
        self.default.clone().unwrap_or_else(RemoteName::local)
    }
}

/// The user's file.
#[derive(Debug)]
pub(crate) struct Remotes {
    file: ListFile,
}

impl Remotes {
    /// The current user's; nothing is read or created yet.
    ///
    /// # Errors
    /// As of [`ListFile::of_user`].
    pub(crate) fn of_user() -> Result<Self, RemotesError> {
        Ok(Self { file: ListFile::of_user(SPEC)? })
    }

    /// The default remote of the current user, if it is not the built-in one. Who has no place for remotes has none;
    /// nor has root where another user decides which they are.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn default_of_user() -> Result<Option<Remote>, RemotesError> {
        // Every command asks, and most users have no remotes.
        let is_missing = |directory: PathBuf| {
            let found = directory.join(SPEC.file).symlink_metadata();
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if platform::own_directory().is_none_or(is_missing) {
            return Ok(None);
        }
        let remotes = match Self::of_user() {
            Ok(remotes) => remotes,
            Err(RemotesError::List(ListError::NoHome(_) | ListError::NotOwn { .. })) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let list = remotes.read()?;
        list.default.as_ref().map(|name| list.find(name)).transpose()
    }

    /// The file, which may not exist.
    #[cfg(test)]
    pub(crate) fn file(&self) -> PathBuf {
        self.file.path()
    }

    /// What the file says.
    ///
    /// # Errors
    /// It cannot be read, or cannot be relied upon.
    pub(crate) fn read(&self) -> Result<RemoteList, RemotesError> {
        Ok(self.parse(&self.file.read()?)?.list)
    }

    /// Adds a remote, or changes it.
    ///
    /// # Errors
    /// There is one already that is to stay; or the file cannot be relied upon, or not be written. It is as it was then.
    pub(crate) fn add(&self, remote: &Remote, on_conflict: OnConflict) -> Result<(), RemotesError> {
        remote.check()?;
        let entry = remote.line();
        self.change(|lines, before| {
            match (before.line_of(&remote.name).and_then(|line| lines.get_mut(line)), on_conflict) {
                (Some(_), OnConflict::Refuse) => return Err(RemotesError::Exists(remote.name.clone())),
                (Some(line), OnConflict::Replace) => *line = entry,
                (None, _) => lines.push(entry),
            }
            Ok(())
        })
    }

    /// Removes a remote. Returns whether it was the default, which the built-in one is then.
    ///
    /// # Errors
    /// There is none of that name, or as for [`Self::add`].
    pub(crate) fn remove(&self, name: &RemoteName) -> Result<bool, RemotesError> {
        if name.is_local() {
            return Err(RemotesError::Local);
        }
        self.change(|lines, before| {
            let Some(line) = before.line_of(name) else {
                return Err(RemotesError::Unknown(name.clone()));
            };
            let was_default = before.list.default.as_ref() == Some(name);
            let default_line = before.default_line.filter(|_| was_default);
            let mut number = 0;
            lines.retain(|_| {
                let goes = number == line || Some(number) == default_line;
                number += 1;
                !goes
            });
            Ok(was_default)
        })
    }

    /// Makes a remote the default.
    ///
    /// # Errors
    /// As for [`Self::remove`].
    pub(crate) fn set_default(&self, name: &RemoteName) -> Result<(), RemotesError> {
        let before = self.read()?;
        before.find(name)?;
        if before.default_name() == *name {
            return Ok(());
        }
        self.change(|lines, before| {
            before.list.find(name)?;
            if let Some(line) = before.default_line {
                lines.remove(line);
            }
            if !name.is_local() {
                // Before the remotes, where it is seen.
                let at = before.lines.iter().copied().chain(before.default_line).min();
                lines.insert(at.unwrap_or(lines.len()).min(lines.len()), format!("{DEFAULT} {name}"));
            }
            Ok(())
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<String>, &ParsedFile) -> Result<T, RemotesError>,
    ) -> Result<T, RemotesError> {
        self.file.change(|lines| {
            let before = self.parse(&lines.join("\n"))?;
            change(lines, &before)
        })
    }

    /// What `text` says. All of it has to be parsed.
    fn parse(&self, text: &str) -> Result<ParsedFile, ListError> {
        let mut parsed = ParsedFile::default();
        for (line, content) in list::entries(text) {
            let damaged = |what| self.file.damaged(line, what);
            let index = line.saturating_sub(1);
            if let Some(name) = content.strip_prefix(DEFAULT) {
                let name = name.trim_start().parse().map_err(|_| damaged("names no remote"))?;
                if parsed.list.default.replace(name).is_some() {
                    return Err(damaged("sets the default remote a second time"));
                }
                parsed.default_line = Some(index);
                continue;
            }
            let remote = Remote::parse(content).map_err(damaged)?;
            if parsed.line_of(&remote.name).is_some() {
                return Err(damaged("has the same name as a line before it"));
            }
            parsed.list.remotes.push(remote);
            parsed.lines.push(index);
        }
        if let (Some(name), Some(index)) = (&parsed.list.default, parsed.default_line)
            && parsed.list.find(name).is_err()
        {
            return Err(self.file.damaged(index + 1, "sets a default remote that does not exist"));
        }
        Ok(parsed)
    }
}

/// What a text says, and where.
#[derive(Debug, Default)]
struct ParsedFile {
    list: RemoteList,
    /// Of each remote, its line; the first is 0.
    lines: Vec<usize>,
    default_line: Option<usize>,
}

impl ParsedFile {
    fn line_of(&self, name: &RemoteName) -> Option<usize> {
        let index = self.list.remotes.iter().position(|remote| remote.name == *name)?;
        self.lines.get(index).copied()
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[cfg(test)]
mod power_cut;

#[cfg(test)]
mod tests;
