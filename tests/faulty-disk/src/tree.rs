//! All that stands below a directory at one moment, as a value.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A directory with its mode. What is in it is in the tree by itself.
    Directory(u32),
    /// A file with its mode and bytes.
    File(u32, Vec<u8>),
}

/// What stands below a directory, by the paths from there; the directory itself has the empty path.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tree(pub BTreeMap<PathBuf, Entry>);

impl Tree {
    /// Reads what stands below `directory`.
    ///
    /// # Panics
    /// Something there cannot be read, or is neither file nor directory.
    #[must_use]
    pub fn read(directory: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_below(directory, Path::new(""));
        tree
    }

    fn read_below(&mut self, root: &Path, path: &Path) {
        let full = root.join(path);
        let metadata = full.symlink_metadata().expect("it is there");
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_file() {
            self.0.insert(path.to_owned(), Entry::File(mode, fs::read(&full).expect("a file can be read")));
            return;
        }
        assert!(metadata.is_dir(), "{} is neither file nor directory", full.display());
        self.0.insert(path.to_owned(), Entry::Directory(mode));
        for entry in fs::read_dir(&full).expect("a directory can be read") {
            self.read_below(root, &path.join(entry.expect("an entry").file_name()));
        }
    }

    /// Makes all of it below `directory`, which is there and empty.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn write(&self, directory: &Path) {
        // A directory comes before what is in it.
        for (path, entry) in &self.0 {
            let full = if path.as_os_str().is_empty() { directory.to_owned() } else { directory.join(path) };
            let mode = match entry {
                Entry::Directory(mode) => {
                    if full != directory {
                        fs::create_dir(&full).expect("a directory can be made");
                    }
                    *mode
                }
                Entry::File(mode, bytes) => {
                    fs::write(&full, bytes).expect("a file can be written");
                    *mode
                }
            };
            fs::set_permissions(&full, Permissions::from_mode(mode)).expect("it is ours");
        }
    }

    /// A new directory that holds all of it.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn in_a_directory(&self) -> TempDir {
        let directory = tempfile::tempdir().expect("a directory can be made");
        self.write(directory.path());
        directory
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn file(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        match self.0.get(path.as_ref()) {
            Some(Entry::File(_, bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The files below `directory`, with their paths from the root of the tree.
    pub fn files(&self, directory: impl AsRef<Path>) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().filter_map(move |(path, entry)| match entry {
            Entry::File(_, bytes) if path.starts_with(&directory) => Some((path.as_path(), bytes.as_slice())),
            _ => None,
        })
    }
}
