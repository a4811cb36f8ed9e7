//! Root and other users: what is whose, and acting as another user in his own files.
//!
//! Root never touches what lies in another user's home: whoever owns a directory decides what its paths
//! mean, from one moment to the next. A program of that user's does it.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use nix::unistd::{Gid, Group, Uid, User, geteuid, setsid};

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether `directory`, which need not exist, is this user's to write to. For root that is not a matter of
/// permissions: nobody else may be able to put something else in its place.
pub(crate) fn is_own(directory: &Path) -> bool {
    if !is_root() {
        return true;
    }
    let exists = |path: &&Path| path.symlink_metadata().is_ok();
    let Some(real) = directory.ancestors().find(exists).and_then(|path| fs::canonicalize(path).ok()) else {
        return false;
    };
    // What is to be made there nobody else may make before.
    is_roots(&real, Sticky::NotEnough)
        && directory.ancestors().chain(real.ancestors()).all(|path| is_roots(path, Sticky::Enough))
}

/// Whether it is enough that a directory which others can write to is sticky.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sticky {
    /// For what is in it already: nobody else can replace that.
    Enough,
    /// For what is to be made in it: others may make it before.
    NotEnough,
}

/// Whether root alone decides what is at `path`, and, where a sticky directory is not enough, below it.
fn is_roots(path: &Path, sticky: Sticky) -> bool {
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    let closed = |writes: u32| found.mode() & writes == 0;
    let closed = closed(OTHERS_WRITE) && (closed(GROUP_WRITES) || found.gid() == 0);
    // Of a file it says nothing.
    let is_sticky = sticky == Sticky::Enough && found.is_dir() && found.mode() & STICKY != 0;
    found.uid() == 0 && (closed || is_sticky || found.is_symlink())
}

/// This user's name, if the user has an account.
pub(crate) fn user_name() -> Option<String> {
    User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
}

/// A user's name, or the number where there is none.
pub(super) fn name_of_user(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group's name, or the number where there is none.
pub(super) fn name_of_group(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

/// Another user's account.
pub(crate) struct Account(User);

impl Account {
    /// The account of that name, if there is one.
    ///
    /// # Errors
    /// The user database cannot be read.
    pub(crate) fn find(name: &str) -> io::Result<Option<Self>> {
        Ok(User::from_name(name)?.map(Self))
    }

    /// This program with `arguments`, in an environment that is empty and a directory that is nobody's, to
    /// [become](exec_as) this user. Until then it is root's.
    ///
    /// # Errors
    /// The system does not tell where this program is.
    pub(crate) fn command(&self, arguments: &[&str]) -> io::Result<Command> {
        let mut command = this_program(arguments)?;
        command.arg(&self.0.name).stdin(Stdio::null());
        Ok(command)
    }
}

/// Replaces this process, which is root's, with this program as the user called `name`, with `arguments`.
/// Returns only why that failed.
///
/// It leaves the terminal first: who may act as that user could otherwise type into root's. And it closes what
/// root's shell left open, which that user could otherwise read or write through the new program.
pub(crate) fn exec_as(name: &str, arguments: &[&str]) -> io::Error {
    let prepare = || {
        let user = User::from_name(name)?.ok_or(io::ErrorKind::NotFound)?;
        setsid()?;
        let mut command = this_program(arguments)?;
        // With the user's id, the standard library also gives up root's supplementary groups.
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        command.env("HOME", user.dir).env("USER", name).env("LOGNAME", name);
        close_inherited()?;
        Ok(command)
    };
    match prepare() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// Closes all descriptors but the standard ones, those of this process too: it is about to end.
fn close_inherited() -> io::Result<()> {
    const STANDARD: i32 = 2;
    let mut open = Vec::new();
    for entry in fs::read_dir("/dev/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for number in open.into_iter().filter(|number| *number > STANDARD) {
        // The one by which they were listed is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn this_program(arguments: &[&str]) -> io::Result<Command> {
    let program: PathBuf = env::current_exe()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn what_another_user_could_replace_is_not_roots() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("home");
        let below = home.join(".local/share");
        fs::create_dir(&home).expect("made");
        assert!(is_own(&below));
        if !is_root() {
            return;
        }
        for (mode, uid, gid, expected) in [
            (0o755, 0, 0, true),
            (0o775, 0, 0, true),
            (0o775, 0, 1001, false),
            (0o777, 0, 0, false),
            (0o1777, 0, 0, false),
            (0o755, 1001, 0, false),
        ] {
            chown(&home, Some(uid), Some(gid)).expect("given");
            fs::set_permissions(&home, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(is_own(&below), expected, "{mode:o} {uid} {gid}");
            assert_eq!(is_own(&home), expected, "{mode:o} {uid} {gid}");
        }
        // Still another user's, by whatever way.
        let link = directory.path().join("link");
        symlink(&home, &link).expect("made");
        assert!(!is_own(&link.join(".local/share")));
    }
}
