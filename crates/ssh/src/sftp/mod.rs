//! A client of SFTP, over any stream of bytes that leads to a server.
//!
//! One call at a time, and in a call that moves a file many requests under way: neither tasks nor queues, and
//! memory for that window alone, whatever the server says of sizes. It moves bytes and names as they are; whether
//! those may be believed is for who calls. After a call that was dropped the client is of no more use.
//!
//! It is our own because the libraries for it take names and handles for UTF-8 text, and change those that are not.

mod packet;
mod stream;

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

pub use packet::{Attributes, DirectoryEntry, FileType};
use packet::{Reply, Request, kind};

/// The version that is spoken, the only one that everybody does.
const VERSION: u32 = 3;
/// A server that says nothing for so long, with requests to answer, is given up.
const SILENCE: Duration = Duration::from_secs(120);
/// Room to read into at a time.
const READ_AHEAD: usize = 64 * 1024;
const POSIX_RENAME: &[u8] = b"posix-rename@openssh.com";

/// The numbers of SFTP's states (section 7).
mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const END: u32 = 1;
    pub(super) const NO_SUCH_FILE: u32 = 2;
    pub(super) const PERMISSION_DENIED: u32 = 3;
    pub(super) const FAILURE: u32 = 4;
    pub(super) const UNSUPPORTED: u32 = 8;
}

/// How a file is opened to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Made with these permissions, less what the server's own mask takes. There must be none yet.
    New(u32),
    /// One that is there, from its beginning; a regular file is emptied.
    Existing,
}

/// A file or a directory that the server has opened. It is to be given back to [`Sftp::close`].
#[derive(Debug)]
pub struct Handle(Bytes);

/// Why something was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SftpError {
    /// There is none.
    #[error("there is no such file or directory")]
    Missing,
    /// The guest's user may not.
    #[error("permission denied")]
    Denied,
    /// The server could not do it, and says why.
    #[error("the instance's SFTP server says: {0}")]
    Refused(String),
    /// The bytes to send cannot be read here.
    #[error("cannot be read")]
    Source(#[source] io::Error),
    /// The received bytes cannot be written here.
    #[error("cannot be written")]
    Sink(#[source] io::Error),
    /// The server does not keep to the protocol.
    #[error("the instance's SFTP server does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// The server does not answer.
    #[error("the instance's SFTP server has said nothing for {} seconds", SILENCE.as_secs())]
    Silent,
    /// The connection is gone.
    #[error("the connection to the instance was lost")]
    Lost(#[source] io::Error),
}

impl SftpError {
    /// Whether the client is of no more use after it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::Silent | Self::Lost(_))
    }
}

/// A packet that cannot be understood.
#[derive(Debug)]
struct Malformed;

impl From<Malformed> for SftpError {
    fn from(_: Malformed) -> Self {
        Self::Protocol("a reply is malformed")
    }
}

/// A client, with the stream to its server.
#[derive(Debug)]
pub struct Sftp<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    incoming: BytesMut,
    outgoing: BytesMut,
    last_id: u32,
    renames_over: bool,
}

impl<S: AsyncRead + AsyncWrite> Sftp<S> {
    /// Begins: agrees on the version.
    ///
    /// # Errors
    /// There is no SFTP server at the other end, or not of this version.
    pub async fn open(stream: S) -> Result<Self, SftpError> {
        let (reader, writer) = tokio::io::split(stream);
        let (incoming, mut outgoing) = (BytesMut::new(), BytesMut::new());
        Request::new(&mut outgoing, kind::INIT, VERSION).end();
        let mut sftp = Self { reader, writer, incoming, outgoing, last_id: 0, renames_over: false };
        let (version, renames_over) = packet::version(sftp.next_packet().await?)?;
        if version != VERSION {
            return Err(SftpError::Protocol("it has another version"));
        }
        sftp.renames_over = renames_over;
        Ok(sftp)
    }

    /// What a path leads to, links followed.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn metadata(&mut self, path: &[u8]) -> Result<Attributes, SftpError> {
        self.attributes(kind::STAT, path).await
    }

    /// What stands at a path, which may be a link.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn link_metadata(&mut self, path: &[u8]) -> Result<Attributes, SftpError> {
        self.attributes(kind::LSTAT, path).await
    }

    /// Where a link points to.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn read_link(&mut self, path: &[u8]) -> Result<Bytes, SftpError> {
        self.name(kind::READLINK, path).await
    }

    /// The path without links and dots.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn real_path(&mut self, path: &[u8]) -> Result<Bytes, SftpError> {
        self.name(kind::REALPATH, path).await
    }

    /// Makes a link at `path` that points to `target`.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn make_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), SftpError> {
        // The draft has the link first. OpenSSH has it last, and so has everybody else by now.
        self.done(kind::SYMLINK, |request| request.text(target).text(path)).await
    }

    /// Makes a directory, with these permissions less what the server's own mask takes.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn make_directory(&mut self, path: &[u8], permissions: u32) -> Result<(), SftpError> {
        self.done(kind::MKDIR, |request| request.text(path).mode(Some(permissions))).await
    }

    /// Gives what a path leads to these permissions.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn set_permissions(&mut self, path: &[u8], permissions: u32) -> Result<(), SftpError> {
        self.done(kind::SETSTAT, |request| request.text(path).mode(Some(permissions))).await
    }

    /// Gives an open file these permissions.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn set_permissions_of(&mut self, file: &Handle, permissions: u32) -> Result<(), SftpError> {
        self.done(kind::FSETSTAT, |request| request.text(&file.0).mode(Some(permissions))).await
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn remove(&mut self, path: &[u8]) -> Result<(), SftpError> {
        self.done(kind::REMOVE, |request| request.text(path)).await
    }

    /// Renames a file, over another one if there is any.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn rename_over(&mut self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        if self.renames_over {
            let rename = self.done(kind::EXTENDED, |request| request.text(POSIX_RENAME).text(from).text(to));
            return rename.await;
        }
        // The protocol's own does not replace anything.
        match self.rename(from, to).await {
            Err(SftpError::Refused(_)) => {
                self.remove(to).await?;
                self.rename(from, to).await
            }
            other => other,
        }
    }

    async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        self.done(kind::RENAME, |request| request.text(from).text(to)).await
    }

    /// Opens a file to be read.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn open_to_read(&mut self, path: &[u8]) -> Result<Handle, SftpError> {
        const READ: u32 = 0x1;
        self.handle(kind::OPEN, |request| request.text(path).number(READ).mode(None)).await
    }

    /// Opens a file to be written.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn open_to_write(&mut self, path: &[u8], how: WriteMode) -> Result<Handle, SftpError> {
        const WRITE: u32 = 0x2;
        const CREATE: u32 = 0x8;
        const TRUNCATE: u32 = 0x10;
        const EXCLUSIVE: u32 = 0x20;
        let (flags, mode) = match how {
            WriteMode::New(permissions) => (WRITE | CREATE | EXCLUSIVE, Some(permissions)),
            WriteMode::Existing => (WRITE | TRUNCATE, None),
        };
        self.handle(kind::OPEN, |request| request.text(path).number(flags).mode(mode)).await
    }

    /// Opens a directory to be listed.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn open_directory(&mut self, path: &[u8]) -> Result<Handle, SftpError> {
        self.handle(kind::OPENDIR, |request| request.text(path)).await
    }

    /// The next entries of an open directory, `.` and `..` among them, in no order; none when that were all.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn list(&mut self, directory: &Handle) -> Result<Option<Vec<DirectoryEntry>>, SftpError> {
        match self.call(kind::READDIR, |request| request.text(&directory.0)).await? {
            Reply::Names(names) if names.is_empty() => Err(SftpError::Protocol("a list of nothing")),
            Reply::Names(names) => Ok(Some(names)),
            Reply::Status { code: code::END, .. } => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// Gives a handle back. What was written may turn out not to have been, only now.
    ///
    /// # Errors
    /// See [`SftpError`].
    pub async fn close(&mut self, handle: Handle) -> Result<(), SftpError> {
        self.done(kind::CLOSE, |request| request.text(&handle.0)).await
    }

    async fn attributes(&mut self, kind: u8, path: &[u8]) -> Result<Attributes, SftpError> {
        match self.call(kind, |request| request.text(path)).await? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => Err(unexpected(other)),
        }
    }

    async fn name(&mut self, kind: u8, path: &[u8]) -> Result<Bytes, SftpError> {
        match self.call(kind, |request| request.text(path)).await? {
            Reply::Names(names) => match <[DirectoryEntry; 1]>::try_from(names) {
                Ok([entry]) => Ok(entry.name),
                Err(_) => Err(SftpError::Protocol("several names where there is one")),
            },
            other => Err(unexpected(other)),
        }
    }

    async fn handle(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Request<'_>) -> Request<'_>,
    ) -> Result<Handle, SftpError> {
        match self.call(kind, fill).await? {
            Reply::Handle(handle) => Ok(Handle(handle)),
            other => Err(unexpected(other)),
        }
    }

    async fn done(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Request<'_>) -> Request<'_>,
    ) -> Result<(), SftpError> {
        match self.call(kind, fill).await? {
            Reply::Status { code: code::OK, .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Sends a request with nothing else under way, and waits for its reply.
    async fn call(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Request<'_>) -> Request<'_>,
    ) -> Result<Reply, SftpError> {
        let id = self.send(kind, fill);
        match self.reply().await? {
            (answered, reply) if answered == id => Ok(reply),
            _ => Err(SftpError::Protocol("a reply to no request")),
        }
    }

    /// Puts a request behind those that wait to be sent. Returns its id.
    fn send(&mut self, kind: u8, fill: impl FnOnce(Request<'_>) -> Request<'_>) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        fill(Request::new(&mut self.outgoing, kind, self.last_id)).end();
        self.last_id
    }

    /// The next reply. Cancel-safe.
    async fn reply(&mut self) -> Result<(u32, Reply), SftpError> {
        Ok(Reply::parse(self.next_packet().await?)?)
    }

    /// The next packet; what waits to be sent is sent meanwhile. Cancel-safe.
    async fn next_packet(&mut self) -> Result<Bytes, SftpError> {
        loop {
            if let Some(packet) = self.received()? {
                return Ok(packet);
            }
            self.incoming.reserve(READ_AHEAD);
            let Self { reader, writer, incoming, outgoing, .. } = self;
            let event = async {
                tokio::select! {
                    read = reader.read_buf(incoming) => read,
                    written = writer.write_buf(outgoing), if !outgoing.is_empty() => written,
                }
            };
            match timeout(SILENCE, event).await {
                Ok(Ok(0)) => return Err(SftpError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(moved) => moved.map_err(SftpError::Lost)?,
                Err(_) => return Err(SftpError::Silent),
            };
        }
    }

    /// A packet, if all of it has been received.
    fn received(&mut self) -> Result<Option<Bytes>, SftpError> {
        let Some(length) = self.incoming.first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let length = usize::try_from(length).ok().filter(|length| *length <= packet::LONGEST);
        let Some(length) = length else {
            return Err(SftpError::Protocol("a reply is too long"));
        };
        if self.incoming.len() < size_of::<u32>() + length {
            return Ok(None);
        }
        self.incoming.advance(size_of::<u32>());
        Ok(Some(self.incoming.split_to(length).freeze()))
    }
}

/// What a reply means that is not the one that was asked for.
fn unexpected(reply: Reply) -> SftpError {
    let Reply::Status { code, message } = reply else {
        return SftpError::Protocol("a reply of another kind than was asked for");
    };
    match code {
        code::OK => SftpError::Protocol("a success without what was asked for"),
        code::NO_SUCH_FILE => SftpError::Missing,
        code::PERMISSION_DENIED => SftpError::Denied,
        code::UNSUPPORTED => SftpError::Refused("it does not know how to do this".to_owned()),
        code::FAILURE if message.is_empty() => SftpError::Refused("failure".to_owned()),
        _ if message.is_empty() => SftpError::Refused(format!("failure {code}")),
        _ => SftpError::Refused(message),
    }
}
