//! Windows. A directory that is held open without leave to delete it can be neither removed nor replaced, so that
//! the path to it stays the path to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt, symlink_file};
use std::path::{Path, PathBuf};

use ssh::sftp::FileType;

use super::FileStatus;

const FILE_SHARE_READ: u32 = 0x1;
const FILE_SHARE_WRITE: u32 = 0x2;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    _held: File,
}

impl Dir {
    /// Opens what the user names; links are followed, as they are the user's own.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::hold(fs::canonicalize(path)?)
    }

    /// Opens a directory in this one; a link to one is none.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Self::hold(self.path.join(name))
    }

    fn hold(path: PathBuf) -> io::Result<Self> {
        let held = OpenOptions::new()
            .read(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
            .open(&path)?;
        match found(&held.metadata()?).kind {
            FileType::Directory => Ok(Self { path, _held: held }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Makes a directory. It has the permissions of the one that it is in.
    pub(crate) fn make(&self, name: &OsStr, _: u32) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// What there is of this name, if anything.
    pub(crate) fn find(&self, name: &OsStr) -> io::Result<Option<FileStatus>> {
        match fs::symlink_metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(found(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in it, in order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Opens a file to be read. A link is not followed.
    pub(crate) fn read(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(self.path.join(name))
    }

    /// Makes a file. There must be nothing of this name.
    pub(crate) fn create(&self, name: &OsStr, _: u32) -> io::Result<File> {
        File::create_new(self.path.join(name))
    }

    /// Nothing: a file has the permissions of the directory that it is in.
    pub(crate) fn set_permissions_of(_: &File, _: u32) -> io::Result<()> {
        Ok(())
    }

    /// Nothing, as before.
    pub(crate) fn keep_permissions(&self, _: u32) -> io::Result<()> {
        Ok(())
    }

    /// Renames over a file or a link, if there is one.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Removes a file or a link.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Makes a link. The system lets only some users do that.
    pub(crate) fn link(&self, name: &OsStr, target: &[u8]) -> io::Result<()> {
        let target = str::from_utf8(target).map_err(|_| io::ErrorKind::InvalidFilename)?;
        symlink_file(target.replace('/', "\\"), self.path.join(name))
    }

    /// Where a link points to.
    pub(crate) fn target(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        let target = fs::read_link(self.path.join(name))?;
        guest_bytes(target.as_os_str()).ok_or_else(|| io::ErrorKind::InvalidFilename.into())
    }
}

/// What an open file, or one that was asked about, is. Whatever is reached by way of something else is a link.
pub(crate) fn found(metadata: &Metadata) -> FileStatus {
    let kind = match metadata {
        _ if metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 => FileType::Link,
        _ if metadata.is_dir() => FileType::Directory,
        _ if metadata.is_file() => FileType::File,
        _ => FileType::Special,
    };
    let permissions = match (kind, metadata.permissions().readonly()) {
        (FileType::File, true) => 0o444,
        (FileType::File, false) => 0o644,
        _ => 0o755,
    };
    FileStatus { kind, permissions }
}

/// A name from a guest as one here. Many that are names elsewhere mean something else: a stream of a file, a device,
/// or the same file as another name ("Naming Files, Paths, and Namespaces" of the Win32 documentation).
pub(crate) fn name(name: &[u8]) -> Option<OsString> {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let name = str::from_utf8(name).ok()?;
    if name.ends_with(['.', ' '])
        || name.contains(|letter| matches!(letter, '\0'..='\x1f') || r#"\/:*?"<>|"#.contains(letter))
    {
        return None;
    }
    let stem = name.split('.').next()?.trim_end().to_uppercase();
    let port = ["COM", "LPT"].iter().any(|port| {
        stem.strip_prefix(port).is_some_and(|number| {
            matches!(
                number,
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "\u{b9}" | "\u{b2}" | "\u{b3}"
            )
        })
    });
    (!port && !DEVICES.contains(&stem.as_str())).then(|| name.into())
}

/// A name or a path from here as the guest's, which has other separators.
pub(crate) fn guest_bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(name.to_str()?.replace('\\', "/").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_else_is_no_name() {
        for text in [
            "a\\b",
            "c:",
            "file:stream",
            "NUL",
            "con.txt",
            "aux .x",
            "COM1",
            "lpt\u{b9}.log",
            "x.",
            "x ",
            "a?",
            "a\u{1b}",
        ] {
            assert_eq!(name(text.as_bytes()), None, "{text}");
        }
        assert_eq!(name(b"\xff"), None);
        for text in ["a", "a.b", ".hidden", "console", "COM10", "null", "a b"] {
            assert_eq!(name(text.as_bytes()), Some(text.into()));
        }
    }
}
