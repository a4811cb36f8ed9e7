//! What the system tells of a socket, of who listens on it, and of who may connect. Nothing is changed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, faccessat, getegid, geteuid};
use tokio::net::UnixStream;

use super::account::{name_of_group, name_of_user};
use crate::platform::{Denial, Listener, SocketFile};

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

/// Whether this user owns the directory that `path` is in.
pub(crate) fn owns_directory_of(path: &Path) -> bool {
    let above = path.parent().and_then(|above| fs::metadata(above).ok());
    above.is_some_and(|found| found.uid() == geteuid().as_raw())
}

/// Finds out why connecting to the socket at `path` was refused.
pub(crate) fn explain_denial(path: &Path) -> Denial {
    let unknown = Denial::Unknown { place: path.display().to_string() };
    let Ok(socket) = fs::metadata(path) else {
        return unknown;
    };
    let access = SocketAccess {
        mode: socket.mode(),
        owner: name_of_user(Uid::from_raw(socket.uid())),
        group: name_of_group(Gid::from_raw(socket.gid())),
        process_has_group: process_groups().contains(&Gid::from_raw(socket.gid())),
        account_has_group: account_has_group(Gid::from_raw(socket.gid())),
    };
    access.denial().unwrap_or(unknown)
}

/// What decides who may connect to a socket.
struct SocketAccess {
    mode: u32,
    owner: String,
    group: String,
    process_has_group: bool,
    account_has_group: bool,
}

impl SocketAccess {
    fn denial(self) -> Option<Denial> {
        const GROUP_WRITES: u32 = 0o020;
        const OTHERS_WRITE: u32 = 0o002;
        let Self { mode, owner, group, process_has_group, account_has_group } = self;
        if mode & OTHERS_WRITE != 0 {
            return None;
        }
        if mode & GROUP_WRITES == 0 {
            return Some(Denial::OwnerOnly { owner });
        }
        match (process_has_group, account_has_group) {
            (true, _) => None,
            (false, true) => Some(Denial::NewMember { group }),
            (false, false) => Some(Denial::NotMember { group }),
        }
    }
}

fn process_groups() -> Vec<Gid> {
    #[cfg(not(target_vendor = "apple"))]
    let listed = nix::unistd::getgroups().unwrap_or_default();
    // Apple's getgroups does not report all groups, so nix leaves it out.
    #[cfg(target_vendor = "apple")]
    let listed = [];
    listed.into_iter().chain([getegid()]).collect()
}

fn account_has_group(gid: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(geteuid()) else {
        return false;
    };
    let listed = |group: Group| group.mem.contains(&user.name);
    user.gid == gid || Group::from_gid(gid).ok().flatten().is_some_and(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_who_may_connect() {
        let judge = |mode, process_has_group, account_has_group| {
            SocketAccess { mode, owner: "o".into(), group: "g".into(), process_has_group, account_has_group }
                .denial()
        };
        let group = || "g".to_owned();
        assert_eq!(judge(0o660, false, false), Some(Denial::NotMember { group: group() }));
        assert_eq!(judge(0o660, false, true), Some(Denial::NewMember { group: group() }));
        assert_eq!(judge(0o600, false, true), Some(Denial::OwnerOnly { owner: "o".into() }));
        // A directory on the way denies.
        assert_eq!(judge(0o660, true, true), None);
        assert_eq!(judge(0o666, false, false), None);
    }
}
