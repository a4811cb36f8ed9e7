//! Files of callers, opened with the callers' rights and no others.
//!
//! The daemon may be root, and must not open what a path of somebody else's leads to. So it starts its own program
//! once more, which becomes the caller, opens the file, hands back the descriptor, and ends.

mod child;

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::process::Command;

pub use child::run;

/// The hidden command of our own program.
const COMMAND: &str = "open-file";
/// How long opening may take: the file may be on a disk that sleeps.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest reply, in bytes.
const MAX_REPLY: usize = 4096;

/// Opens files with the rights of others.
#[derive(Clone, Debug)]
pub struct Opener {
    program: PathBuf,
}

/// Whose rights are used, by the numbers that the kernel knows them by.
#[derive(Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
}

/// A file to be opened.
#[derive(Debug, Serialize, Deserialize)]
struct OpenRequest {
    owner: Credentials,
    path: Vec<u8>,
}

/// What became of it. A file that is open comes along.
#[derive(Debug, Serialize, Deserialize)]
enum OpenReply {
    Opened,
    Refused(Refusal),
}

/// Why a file is not opened.
#[derive(Debug, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// Its user may not read it.
    #[error("user {uid} may not read it; give that user the right to, or copy it to where it can be read")]
    NotPermitted {
        /// The user.
        uid: u32,
    },
    /// It is not there.
    #[error("there is no such file; give the whole path of one")]
    NotFound,
    /// It is a directory, a device or the like.
    #[error("it is not a regular file; give the path of an image")]
    NotAFile,
    /// This daemon cannot become that user.
    #[error(
        "this service cannot take on the rights of user {uid}; ask one that runs as root, or as that user"
    )]
    NotRoot {
        /// The user.
        uid: u32,
    },
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why there is no file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was not opened.
    #[error(transparent)]
    Refused(Refusal),
    /// It took too long.
    #[error("it did not open within {} seconds", DEADLINE.as_secs())]
    TimedOut,
    /// The program that opens files did not work.
    #[error("the service could not open it: {0}")]
    Failed(#[from] io::Error),
}

impl Opener {
    /// By this very program.
    #[must_use]
    pub fn own() -> Self {
        // On Linux it is there as long as it runs, also when it has been replaced on the disk.
        let itself = PathBuf::from("/proc/self/exe");
        let elsewhere = || std::env::current_exe().unwrap_or_else(|_| "multipassd".into());
        Self { program: if cfg!(target_os = "linux") { itself } else { elsewhere() } }
    }

    /// By the program at that place, a `multipassd`.
    #[must_use]
    pub fn with(program: PathBuf) -> Self {
        Self { program }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// It is none, its owner may not read it, or it takes too long.
    pub async fn open(&self, owner: Credentials, path: &Path) -> Result<File, OpenError> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(DEADLINE))?;
        ours.set_write_timeout(Some(DEADLINE))?;
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let request = OpenRequest { owner, path: path.as_os_str().as_bytes().to_vec() };
        let sent = tokio::task::spawn_blocking(move || send_request(ours, &request)).await;
        // It has nothing more to do, whatever it does.
        let _ = child.start_kill();
        let _ = child.wait().await;
        let replied = sent.map_err(io::Error::other)?;
        let (reply, file) = replied.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => OpenError::TimedOut,
            _ => OpenError::Failed(error),
        })?;
        match (reply, file) {
            (OpenReply::Opened, Some(file)) => Ok(file),
            (OpenReply::Opened, None) => Err(OpenError::Failed(io::Error::other("it gave no file"))),
            (OpenReply::Refused(why), _) => Err(OpenError::Refused(why)),
        }
    }
}

/// Asks the program at the other end. *Blocking*, for a while.
fn send_request(mut socket: UnixStream, request: &OpenRequest) -> io::Result<(OpenReply, Option<File>)> {
    socket.write_all(&serde_json::to_vec(request)?)?;
    socket.shutdown(Shutdown::Write)?;
    let mut bytes = vec![0; MAX_REPLY];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, receive_flags())?;
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next().map(File::from),
        _ => None,
    });
    if let Some(file) = &file {
        set_close_on_exec(file)?;
    }
    bytes.truncate(received.bytes);
    let room = MAX_REPLY.saturating_sub(bytes.len());
    socket.take(room as u64).read_to_end(&mut bytes)?;
    Ok((serde_json::from_slice(&bytes)?, file))
}

/// No other program that is started meanwhile inherits the file.
#[cfg(not(target_vendor = "apple"))]
fn receive_flags() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

/// There is no such flag.
#[cfg(target_vendor = "apple")]
fn receive_flags() -> RecvFlags {
    RecvFlags::empty()
}

/// It was received so.
#[cfg(not(target_vendor = "apple"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn set_close_on_exec(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Programs that are started from now on do not inherit the file: each QEMU would keep it open.
#[cfg(target_vendor = "apple")]
fn set_close_on_exec(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::CLOEXEC)?)
}
