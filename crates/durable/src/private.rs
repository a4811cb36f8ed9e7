//! Files and directories that belong to the daemon alone.
//!
//! A root daemon that uses what another user made, or can still change, does that user's bidding. So a
//! directory must be ours and closed, all above it must be beyond others' reach, links are not followed,
//! and what cannot be read is never taken for missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Makes a directory of our own (0700); one that exists is closed to others. *Blocking*.
///
/// # Errors
/// It cannot be made, is a link, is another user's, or another user could replace it. On Windows, where the rights to a
/// directory do not keep others from the files in it, also if another user could write to it or to a file in it.
pub fn directory(path: &Path) -> io::Result<()> {
    system::own_directory(path)
}

/// Whether [`directory`] would find nothing to make, fix or refuse in the directory itself. A look at its metadata;
/// quick, though *blocking*.
#[must_use]
pub fn is_own_directory(path: &Path) -> bool {
    system::is_own_directory(path)
}

/// Makes a directory that everyone can read (0755), with those above it, whatever the umask. New ones survive
/// a power cut; one that exists is left as it is. *Blocking*.
///
/// # Errors
/// It cannot be made; or there is another user who could put something else where it is to be.
pub fn create_all(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    if let Some(highest) = missing.last() {
        let there = highest.parent().filter(|path| !path.as_os_str().is_empty());
        beyond_other_users(there.unwrap_or(Path::new(".")))?;
    }
    for path in missing.into_iter().rev() {
        let above = path.parent().map_or(Ok(None), crate::open_directory)?;
        match system::create_readable(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.and_then(|()| crate::sync(above))?,
        }
    }
    Ok(())
}

/// The whole of a regular file, or `None` if nothing has its name. *Blocking*.
///
/// # Errors
/// It cannot be read, has more than `limit` bytes, is no regular file, or is a link that leads nowhere.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a FIFO would wait for somebody to write to it.
    system::never_wait(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match path.symlink_metadata() {
                Ok(_) => Err(io::Error::new(io::ErrorKind::NotFound, "it is a link that leads nowhere")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // As much as it is likely to be, and one more to see its end.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Checks that nobody but us and root can change what a path leads to. *Blocking*.
///
/// # Errors
/// Another user can write to the file or to a directory on the way, or could replace one of them; or there is
/// no such file.
pub fn beyond_others(path: &Path) -> io::Result<()> {
    system::beyond_others(path)
}

/// As [`beyond_others`], but leaves groups to the administrator: gives the directories on the way that a group
/// may write to, and root's daemon would otherwise refuse. *Blocking*.
///
/// # Errors
/// As [`beyond_others`], for users.
pub fn beyond_other_users(path: &Path) -> io::Result<Vec<PathBuf>> {
    system::beyond_other_users(path)
}

/// Checks that a service which the system runs can use a program: nobody but administrators and the system, the user
/// who asks included, can change it or put libraries beside it, which it would load in the place of the system's.
/// *Blocking*.
///
/// # Errors
/// A user can; or there is no such program.
#[cfg(windows)]
pub fn program_for_service(program: &Path) -> io::Result<()> {
    system::program_for_service(program)
}

/// Checks that a service which the system runs will find nothing to refuse in a directory that is there, in a file in
/// it, or in a directory in it with its files: nobody but administrators and the system, the user who asks included,
/// owns them, can change them, or can replace what leads to them. *Blocking*.
///
/// # Errors
/// A user can; or it cannot be looked at.
#[cfg(windows)]
pub fn directory_for_service(path: &Path) -> io::Result<()> {
    system::directory_for_service(path)
}

/// Keeps links from being followed, FIFOs from being waited for, and a file that is made from others.
pub fn own_file(options: &mut OpenOptions) {
    system::own_file(options);
}

/// Opens a file to be locked, creating it for us alone. Its contents do not matter. *Blocking*.
///
/// # Errors
/// It cannot be opened, or is a link.
pub fn lock_file(path: &Path) -> io::Result<File> {
    system::open_or_create(path)
}

/// Makes a file for us alone, where nothing has its name. *Blocking*.
///
/// # Errors
/// Something has its name, or it cannot be made.
pub fn new_file(path: &Path) -> io::Result<File> {
    system::create_new(path)
}

/// Lets everyone read a file that was made for us alone.
pub(crate) fn open_to_readers(file: &File) -> io::Result<()> {
    system::open_to_readers(file)
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use nix::fcntl::OFlag;
    use nix::unistd::geteuid;

    /// Groups that none but root and the system's own services are in. On macOS the directory of sockets, /var/run,
    /// is open to `daemon`, which is 1 there.
    const SYSTEMS_GROUPS: &[u32] = if cfg!(target_os = "macos") { &[0, 1] } else { &[0] };

    pub(super) fn own_directory(path: &Path) -> io::Result<()> {
        // By its components: with a slash behind it, a link would be followed.
        let path: PathBuf = std::path::absolute(path)?.components().collect();
        let parent = path.parent().unwrap_or(Path::new("/"));
        // A loop of links is found out here.
        parent.canonicalize()?;
        closed_to_groups(check_way(parent)?)?;
        let above = crate::open_directory(parent);
        let made = match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        match above {
            // Where we may not look, it was somebody else who made it.
            Err(error) if !made && error.kind() == io::ErrorKind::PermissionDenied => {}
            // Also if it was there: whoever made it may have failed before this, or have been killed.
            above => crate::sync(above?)?,
        }
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("it is not a directory: {error}")))?;
        let owner = directory.metadata()?.uid();
        if owner != geteuid().as_raw() {
            return Err(refused(format!("it belongs to user {owner}, not to the user who runs this")));
        }
        directory.set_permissions(Permissions::from_mode(0o700))
    }

    pub(super) fn is_own_directory(path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| {
            found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o7777 == 0o700
        })
    }

    /// Checks all that an absolute path leads through: the directories in it, and those of each link on the
    /// way, for whoever can replace a link leads us elsewhere. Gives those that a group could replace.
    fn check_way(path: &Path) -> io::Result<Vec<PathBuf>> {
        let (mut step, mut by_groups) = (PathBuf::new(), Vec::new());
        // From the root on: what is beyond others' reach stays as it was found.
        for component in path.components() {
            step.push(component);
            let metadata = step.symlink_metadata()?;
            if check_step(&step, &metadata)? == By::Groups {
                by_groups.push(step.clone());
            }
            if metadata.is_symlink() {
                let beside = step.parent().unwrap_or(Path::new("/"));
                by_groups.extend(check_way(&beside.join(step.read_link()?))?);
            }
        }
        Ok(by_groups)
    }

    /// Who else could replace what is in a directory.
    #[derive(PartialEq, Eq)]
    enum By {
        Nobody,
        Groups,
    }

    /// Whoever can write to a directory can replace what is in it. A group of one's own is no stranger to
    /// an ordinary user; root trusts no group but the system's.
    fn check_step(path: &Path, metadata: &Metadata) -> io::Result<By> {
        let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
        let me = geteuid().as_raw();
        if owner != 0 && owner != me {
            return Err(refused(format!("{} belongs to user {owner}, who could replace it", path.display())));
        }
        // Of a file it says nothing.
        let sticky = metadata.is_dir() && mode & 0o1000 != 0;
        // A link's mode says nothing.
        if metadata.is_symlink() || sticky {
            return Ok(By::Nobody);
        }
        if mode & 0o002 != 0 {
            return Err(others_may_write(path));
        }
        let by_group = mode & 0o020 != 0 && me == 0 && !SYSTEMS_GROUPS.contains(&group);
        Ok(if by_group { By::Groups } else { By::Nobody })
    }

    fn closed_to_groups(by_groups: Vec<PathBuf>) -> io::Result<()> {
        by_groups.first().map_or(Ok(()), |path| Err(others_may_write(path)))
    }

    fn others_may_write(path: &Path) -> io::Error {
        refused(format!("other users may write to {}, and could replace it", path.display()))
    }

    pub(super) fn beyond_others(path: &Path) -> io::Result<()> {
        closed_to_groups(beyond_other_users(path)?)
    }

    pub(super) fn beyond_other_users(path: &Path) -> io::Result<Vec<PathBuf>> {
        // A loop of links is found out here.
        path.canonicalize()?;
        check_way(&std::path::absolute(path)?)
    }

    fn refused(why: String) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, why)
    }

    pub(super) fn create_readable(path: &Path) -> io::Result<()> {
        // Never wider than this, not even for a moment; and narrower only if the umask says so.
        DirBuilder::new().mode(0o755).create(path)?;
        // Through a descriptor: by its name, whoever owns the directory above could have us open up another.
        OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(path)?
            .set_permissions(Permissions::from_mode(0o755))
    }

    pub(super) fn never_wait(options: &mut OpenOptions) {
        options.custom_flags(OFlag::O_NONBLOCK.bits());
    }

    pub(super) fn own_file(options: &mut OpenOptions) {
        options.mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    }

    pub(super) fn open_to_readers(file: &File) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(0o644))
    }

    pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        own_file(&mut options);
        options.open(path)
    }

    pub(super) fn create_new(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        own_file(&mut options);
        options.open(path)
    }
}

#[cfg(not(unix))]
#[path = "private/windows.rs"]
mod system;
