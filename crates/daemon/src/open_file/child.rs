//! The other end: becomes the caller, and opens the file.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::{Credentials, OpenReply, OpenRequest, Refusal};

/// The longest request, in bytes: of the most groups that a user has, and the longest path.
const MAX_REQUEST: u64 = 4 * 1024 * 1024;

/// Answers the one request that comes in on standard input, which is a socket.
///
/// # Errors
/// Nobody has asked, or nobody listens.
pub fn run() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut bytes = Vec::new();
    (&socket).take(MAX_REQUEST).read_to_end(&mut bytes)?;
    let request: OpenRequest = serde_json::from_slice(&bytes)?;
    let opened = assume(&request.owner).and_then(|()| open(&request));
    let (reply, file) = match opened {
        Ok(file) => (OpenReply::Opened, Some(file)),
        Err(why) => (OpenReply::Refused(why), None),
    };
    let bytes = serde_json::to_vec(&reply)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = file.iter().map(AsFd::as_fd).collect();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Gives up all rights that those credentials have not. A user's own service has its user's rights, and opens files for root
/// with them too.
fn assume(credentials: &Credentials) -> Result<(), Refusal> {
    let own = geteuid();
    if own.is_root() {
        return switch_to(credentials);
    }
    match credentials.uid {
        0 => Ok(()),
        uid if uid == own.as_raw() => Ok(()),
        uid => Err(Refusal::NotRoot { uid }),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn switch_to(credentials: &Credentials) -> Result<(), Refusal> {
    use nix::unistd::{Gid, Uid, getegid, setgid, setgroups, setuid};

    let groups: Vec<Gid> = credentials.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid));
    // Of root, each sets the real and the saved one too, and the last takes away the right to any other.
    setgroups(&groups)
        .and_then(|()| setgid(gid))
        .and_then(|()| setuid(uid))
        .map_err(|error| Refusal::Other(format!("cannot take on the rights of user {uid}: {error}")))?;
    let is_back = !uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
    if is_back || geteuid() != uid || getegid() != gid {
        return Err(Refusal::Other(format!("the rights of user {uid} were not taken on")));
    }
    Ok(())
}

/// Its groups cannot be set safely.
#[cfg(target_vendor = "apple")]
fn switch_to(credentials: &Credentials) -> Result<(), Refusal> {
    Err(Refusal::NotRoot { uid: credentials.uid })
}

fn open(request: &OpenRequest) -> Result<File, Refusal> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&request.path));
    if !path.is_absolute() {
        return Err(Refusal::NotFound);
    }
    // Neither a terminal nor a pipe nor a device is waited for.
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::NotFound,
        io::ErrorKind::PermissionDenied => Refusal::NotPermitted { uid: request.owner.uid },
        // Nothing listens behind it: a device that is not there, or a socket.
        _ if path.metadata().is_ok_and(|metadata| !metadata.is_file()) => Refusal::NotAFile,
        _ => Refusal::Other(format!("{error}; give the path of an image that can be opened")),
    })?;
    let metadata = file.metadata().map_err(|error| Refusal::Other(error.to_string()))?;
    if metadata.is_file() { Ok(file) } else { Err(Refusal::NotAFile) }
}
