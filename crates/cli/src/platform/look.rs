//! What the system tells of a socket, of who listens on it, and of this user. Nothing is changed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, Gid, Uid, User, faccessat, geteuid};
use tokio::net::UnixStream;

use super::unix::{name_of_group, name_of_user};
use super::{Listener, SocketFile};

/// What there is at `path`.
///
/// # Errors
/// Nothing, or nothing that this user may see.
pub(crate) fn socket_file(path: &Path) -> io::Result<SocketFile> {
    let found = fs::metadata(path)?;
    Ok(SocketFile {
        is_socket: found.file_type().is_socket(),
        mode: found.mode() & 0o7777,
        owner: name_of_user(Uid::from_raw(found.uid())),
        group: name_of_group(Gid::from_raw(found.gid())),
        is_own: found.uid() == geteuid().as_raw(),
        may_connect: faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok(),
    })
}

/// The first directory on the way to `path` that this user may not pass.
pub(crate) fn blocked_directory(path: &Path) -> Option<PathBuf> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let shut = |directory: &&&Path| {
        let passed = faccessat(AT_FDCWD, **directory, AccessFlags::X_OK, AtFlags::AT_EACCESS);
        passed == Err(nix::errno::Errno::EACCES)
    };
    above.iter().rev().find(shut).map(|directory| directory.to_path_buf())
}

/// Who listens on the socket at `path`. It gets a connection on which nothing is said.
///
/// # Errors
/// Nobody does, or the system does not tell.
pub(crate) async fn listener(path: &Path) -> io::Result<Listener> {
    let credentials = UnixStream::connect(path).await?.peer_cred()?;
    let process = credentials.pid().filter(|pid| *pid > 0);
    let about = |file: &str| process.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/{file}")).ok());
    let program = about("comm").map(|name| name.trim_end().to_owned());
    Ok(Listener {
        process,
        program,
        user: name_of_user(Uid::from_raw(credentials.uid())),
        is_own: credentials.uid() == geteuid().as_raw(),
        is_roots: credentials.uid() == 0,
    })
}

/// Whether a process was stopped, and waits to be continued, where the system tells it.
pub(crate) fn is_stopped(process: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.is_ok_and(|text| text.lines().any(|line| line.starts_with("State:\tT")))
}

/// This user's name, if the user has an account.
pub(crate) fn user_name() -> Option<String> {
    User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
}

/// How others than its owner may read or write a file; `None` if they may not.
///
/// # Errors
/// There is no such file.
pub(crate) fn exposure(path: &Path) -> io::Result<Option<String>> {
    let mode = fs::metadata(path)?.mode() & 0o7777;
    Ok((mode & 0o077 != 0).then(|| format!("its mode is {mode:04o}")))
}

/// The command that keeps a file from others. The path is one word.
pub(crate) fn restrict_command(path: &str) -> String {
    format!("chmod 600 {path}")
}

/// Whether this user owns the directory that `path` is in.
pub(crate) fn owns_directory_of(path: &Path) -> bool {
    let above = path.parent().and_then(|above| fs::metadata(above).ok());
    above.is_some_and(|found| found.uid() == geteuid().as_raw())
}
