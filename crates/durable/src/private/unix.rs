//! Unix: a directory of ours belongs to us and is closed to others, and so is the way to it.

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
        if check_step(&step, &metadata)? == ReplaceableBy::Groups {
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
enum ReplaceableBy {
    Nobody,
    Groups,
}

/// Whoever can write to a directory can replace what is in it. A group of one's own is no stranger to
/// an ordinary user; root trusts no group but the system's.
fn check_step(path: &Path, metadata: &Metadata) -> io::Result<ReplaceableBy> {
    let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    let me = geteuid().as_raw();
    if owner != 0 && owner != me {
        return Err(refused(format!("{} belongs to user {owner}, who could replace it", path.display())));
    }
    // Of a file it says nothing.
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    // A link's mode says nothing.
    if metadata.is_symlink() || sticky {
        return Ok(ReplaceableBy::Nobody);
    }
    if mode & 0o002 != 0 {
        return Err(others_may_write(path));
    }
    let by_group = mode & 0o020 != 0 && me == 0 && !SYSTEMS_GROUPS.contains(&group);
    Ok(if by_group { ReplaceableBy::Groups } else { ReplaceableBy::Nobody })
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
