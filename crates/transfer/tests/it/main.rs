//! Transfers with OpenSSH's SFTP server, and with guests that are up to something.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod destinations;
mod hostile;
mod impostor;
mod trees;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ssh::sftp::Sftp;
use test_servers::sftp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Child;

/// OpenSSH's server, at home in `folder`.
async fn openssh(folder: &Path) -> Option<(Sftp<impl AsyncRead + AsyncWrite + use<>>, Child)> {
    let (stream, child) = sftp(folder)?;
    Some((Sftp::open(stream).await.unwrap(), child))
}

/// Everything below a directory: paths, and of each its mode and its content or target.
fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let what = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                folders.push(path.clone());
                format!("{:o} directory", metadata.permissions().mode() & 0o7777)
            } else if metadata.is_file() {
                let content = fs::read(&path).unwrap();
                format!("{:o} {}", metadata.permissions().mode() & 0o7777, content.escape_ascii())
            } else {
                "special".to_owned()
            };
            let name = path.strip_prefix(folder).unwrap().as_os_str().as_bytes();
            all.insert(name.escape_ascii().to_string(), what);
        }
    }
    all
}

/// Writes a file with exactly this mode.
fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
