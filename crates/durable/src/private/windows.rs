//! Windows: what a directory of ours lists as its users, all that is made in it inherits.
//!
//! What others may only read is taken from them. What they may write is believed no more, and stays as it was: an
//! administrator has to look at it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use win32::access::{self, Access, IfExists, Operation, TrustPolicy, UntrustedPrincipal};
use win32::verdict::PathComponent;

pub(super) fn own_directory(path: &Path) -> io::Result<()> {
    // By its components: with a separator behind it, a link would be followed.
    let path: PathBuf = std::path::absolute(path)?.components().collect();
    if let Some(parent) = path.parent() {
        beyond_others(parent)?;
    }
    match access::create_directory(&path, Access::Service) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let directory = access::look_at(&path)?;
    let found = directory.metadata()?;
    if leads_elsewhere(&found) {
        return Err(link_refused(&path));
    }
    if !found.is_dir() {
        return Err(io::Error::other("it is not a directory"));
    }
    closed_to_changes(&path, &directory, TrustPolicy::WithCaller)?;
    files_closed_to_changes(&path, TrustPolicy::WithCaller)?;
    if access::untrusted_principal(Operation::Use, &directory, TrustPolicy::WithCaller)?.is_some() {
        access::restrict(&directory, Access::Service)?;
    }
    Ok(())
}

pub(super) fn is_own_directory(path: &Path) -> bool {
    let closed = |path: &Path| {
        let directory = access::look_at(path)?;
        let found = directory.metadata()?;
        let untrusted = access::untrusted_principal(Operation::Use, &directory, TrustPolicy::WithCaller)?;
        Ok::<_, io::Error>(found.is_dir() && !leads_elsewhere(&found) && untrusted.is_none())
    };
    closed(path).unwrap_or(false)
}

/// A file that is reached by its whole name is guarded by its own list alone. Directories are looked at by whoever uses
/// them.
fn files_closed_to_changes(directory: &Path, policy: TrustPolicy) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        match access::look_at(&path) {
            Ok(file) => closed_to_changes(&path, &file, policy)?,
            // It has been removed or renamed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn create_readable(path: &Path) -> io::Result<()> {
    access::create_directory(path, Access::Readable)
}

pub(super) fn beyond_others(path: &Path) -> io::Result<()> {
    check_ways(path, TrustPolicy::WithCaller)
}

/// No groups are left to the administrator: an access list names who is meant.
pub(super) fn beyond_other_users(path: &Path) -> io::Result<Vec<PathBuf>> {
    beyond_others(path).map(|()| Vec::new())
}

pub(super) fn program_for_service(program: &Path) -> io::Result<()> {
    check_ways(program, TrustPolicy::AdministratorsOnly)?;
    for program in [std::path::absolute(program)?, program.canonicalize()?] {
        let Some(directory) = program.parent() else { continue };
        closed_to_changes(directory, &access::look_at(directory)?, TrustPolicy::AdministratorsOnly)?;
        files_closed_to_changes(directory, TrustPolicy::AdministratorsOnly)?;
    }
    Ok(())
}

pub(super) fn directory_for_service(directory: &Path) -> io::Result<()> {
    check_ways(directory, TrustPolicy::AdministratorsOnly)?;
    let mut own = vec![directory.to_owned()];
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own.push(entry.path());
        }
    }
    for directory in own {
        let opened = access::look_at(&directory)?;
        if leads_elsewhere(&opened.metadata()?) {
            return Err(link_refused(&directory));
        }
        closed_to_changes(&directory, &opened, TrustPolicy::AdministratorsOnly)?;
        files_closed_to_changes(&directory, TrustPolicy::AdministratorsOnly)?;
    }
    Ok(())
}

/// Checks both what a path leads through as it is written and as its links, each of which has to be there, lead it.
fn check_ways(path: &Path, policy: TrustPolicy) -> io::Result<()> {
    check_way(&std::path::absolute(path)?, policy)?;
    check_way(&path.canonicalize()?, policy)
}

/// Checks all that an absolute path leads through.
fn check_way(path: &Path, policy: TrustPolicy) -> io::Result<()> {
    let steps: Vec<&Path> = path.ancestors().collect();
    // From the root on: what is beyond others' reach stays as it was found.
    for path in steps.into_iter().rev() {
        let file = access::look_at(path)?;
        let Some(forbidden) = component_at(path, &file)?.forbidden() else { return Err(link_refused(path)) };
        refuse(path, access::untrusted_principal(forbidden, &file, policy)?)?;
    }
    Ok(())
}

fn component_at(path: &Path, file: &File) -> io::Result<PathComponent> {
    let found = file.metadata()?;
    let program_data = win32::program_data()?;
    if leads_elsewhere(&found) {
        // However they are spelled.
        let parent = path.parent().unwrap_or(path).canonicalize()?;
        let is_below = program_data.canonicalize().is_ok_and(|program_data| parent.starts_with(program_data));
        return Ok(if is_below { PathComponent::LinkInProgramData } else { PathComponent::Link });
    }
    if found.is_file() {
        return Ok(PathComponent::File);
    }
    // However it is spelled.
    let path = path.canonicalize()?;
    let is_program_data = program_data.canonicalize().is_ok_and(|program_data| path == program_data);
    Ok(if is_program_data { PathComponent::ProgramData } else { PathComponent::Directory })
}

/// Whether it is a link, or a directory whose content something else provides: of a junction the standard library says
/// the former, of other reparse points not.
fn leads_elsewhere(found: &Metadata) -> bool {
    const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x0400;
    found.is_symlink() || (found.is_dir() && found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0)
}

fn closed_to_changes(path: &Path, file: &File, policy: TrustPolicy) -> io::Result<()> {
    refuse(path, access::untrusted_principal(Operation::Modify, file, policy)?)
}

fn refuse(path: &Path, untrusted: Option<UntrustedPrincipal>) -> io::Result<()> {
    untrusted.map_or(Ok(()), |principal| Err(denied(principal.refusal(path))))
}

fn link_refused(path: &Path) -> io::Error {
    let shown = path.display();
    denied(format!(
        "{shown} is a link, where others could have made one: remove it ('rmdir \"{shown}\"' leaves what it leads to), \
         or use another place"
    ))
}

fn denied(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

pub(super) fn never_wait(_options: &mut OpenOptions) {}

/// A link is opened itself, and is no regular file then.
pub(super) fn own_file(options: &mut OpenOptions) {
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
}

pub(super) fn open_to_readers(file: &File) -> io::Result<()> {
    access::restrict(file, Access::Readable)
}

pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    access::open_file(path, Access::Service, IfExists::Open)
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    access::open_file(path, Access::Service, IfExists::Fail)
}
