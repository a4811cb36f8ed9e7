//! A directory that looks as the installed system will: files with the modes that they are to have, whatever our umask.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::command::answer;

/// The directory.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// How a file is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is run.
    Program,
    /// It is read.
    Data,
}

impl Tree {
    /// An empty one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn new(root: PathBuf) -> anyhow::Result<Self> {
        let tree = Self { root };
        tree.directory(&tree.root)?;
        Ok(tree)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a file with that content at `path`, below the root.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn put(&self, path: &str, kind: Kind, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let file = self.root.join(path);
        let fails = || format!("cannot write {}", file.display());
        self.directory(file.parent().with_context(fails)?)?;
        fs::write(&file, content).with_context(fails)?;
        let mode = if kind == Kind::Program { 0o755 } else { 0o644 };
        fs::set_permissions(&file, Permissions::from_mode(mode)).with_context(fails)
    }

    /// As [`put`](Self::put), compressed, as documentation has to be.
    ///
    /// # Errors
    /// It cannot be compressed or written.
    pub(super) fn put_compressed(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        self.put(&format!("{path}.gz"), Kind::Data, gzip(content)?)
    }

    /// The paths of all files, sorted.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub(super) fn files(&self) -> anyhow::Result<Vec<String>> {
        let mut find = Command::new("find");
        let found = answer(find.current_dir(&self.root).args([".", "-type", "f", "-printf", "%P\n"]));
        let mut files: Vec<String> = found.context("find does not run")?.lines().map(str::to_owned).collect();
        files.sort();
        Ok(files)
    }

    fn directory(&self, path: &Path) -> anyhow::Result<()> {
        let fails = || format!("cannot make {}", path.display());
        fs::create_dir_all(path).with_context(fails)?;
        for directory in path.ancestors().take_while(|directory| directory.starts_with(&self.root)) {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).with_context(fails)?;
        }
        Ok(())
    }
}

/// Without name and time, which would not be the same the next time.
fn gzip(content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "--no-name", "--stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = gzip.spawn().context("cannot run gzip")?;
    let mut input = child.stdin.take().context("gzip has no input")?;
    // While it is read from, or it would wait for that with more to be written.
    let (written, output) = std::thread::scope(|scope| {
        let writing = scope.spawn(move || input.write_all(content));
        let output = child.wait_with_output();
        (writing.join(), output)
    });
    written.ok().context("nothing was given to gzip")?.context("gzip does not read")?;
    let output = output.context("cannot wait for gzip")?;
    ensure!(output.status.success(), "gzip failed: {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_have_the_modes_that_they_are_to_have() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(folder.path().join("tree")).unwrap();
        tree.put("usr/bin/tool", Kind::Program, "#!/bin/sh\n").unwrap();
        tree.put_compressed("usr/share/doc/tool/changelog", b"none\n").unwrap();
        assert_eq!(tree.files().unwrap(), ["usr/bin/tool", "usr/share/doc/tool/changelog.gz"]);
        for (path, mode) in [
            ("", 0o755),
            ("usr", 0o755),
            ("usr/bin/tool", 0o755),
            ("usr/share/doc/tool", 0o755),
            ("usr/share/doc/tool/changelog.gz", 0o644),
        ] {
            let metadata = tree.root().join(path).metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{path:?}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_same_each_time() {
        let much: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let once = gzip(&much).unwrap();
        assert!(once == gzip(&much).unwrap() && once.len() < much.len());
    }
}
