//! What goes over the wire in SFTP version 3 (draft-ietf-secsh-filexfer-02): requests are built here, and replies
//! taken apart.
//!
//! Names, paths and handles are bytes, as they are in the protocol and in a guest's file system.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Malformed;

/// No packet is longer, its own length left aside. It is OpenSSH's limit too.
pub(super) const LONGEST: usize = 256 * 1024;
/// "The length of the handle string MUST NOT exceed 256 data bytes."
const LONGEST_HANDLE: usize = 256;
/// What a guest says of a failure is for people; more of it is not kept.
const LONGEST_MESSAGE: usize = 200;

/// The kinds of requests.
pub(super) mod kind {
    pub(in crate::sftp) const INIT: u8 = 1;
    pub(in crate::sftp) const OPEN: u8 = 3;
    pub(in crate::sftp) const CLOSE: u8 = 4;
    pub(in crate::sftp) const READ: u8 = 5;
    pub(in crate::sftp) const WRITE: u8 = 6;
    pub(in crate::sftp) const LSTAT: u8 = 7;
    pub(in crate::sftp) const SETSTAT: u8 = 9;
    pub(in crate::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::sftp) const OPENDIR: u8 = 11;
    pub(in crate::sftp) const READDIR: u8 = 12;
    pub(in crate::sftp) const REMOVE: u8 = 13;
    pub(in crate::sftp) const MKDIR: u8 = 14;
    pub(in crate::sftp) const REALPATH: u8 = 16;
    pub(in crate::sftp) const STAT: u8 = 17;
    pub(in crate::sftp) const RENAME: u8 = 18;
    pub(in crate::sftp) const READLINK: u8 = 19;
    pub(in crate::sftp) const SYMLINK: u8 = 20;
    pub(in crate::sftp) const EXTENDED: u8 = 200;
}

/// Which fields attributes have.
mod field {
    pub(super) const SIZE: u32 = 0x1;
    pub(super) const OWNER: u32 = 0x2;
    pub(super) const MODE: u32 = 0x4;
    pub(super) const TIMES: u32 = 0x8;
    pub(super) const EXTENDED: u32 = 0x8000_0000;
}

/// A request that is being written behind those that wait to be sent.
pub(super) struct Request<'a> {
    to: &'a mut BytesMut,
    start: usize,
}

impl<'a> Request<'a> {
    /// Begins a request of a kind; `id` is what its reply will have, or the version in the first request of all.
    pub(super) fn new(to: &'a mut BytesMut, kind: u8, id: u32) -> Self {
        let start = to.len();
        to.put_u32(0);
        to.put_u8(kind);
        to.put_u32(id);
        Self { to, start }
    }

    pub(super) fn text(self, text: &[u8]) -> Self {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX)).raw(text)
    }

    pub(super) fn number(self, number: u32) -> Self {
        self.to.put_u32(number);
        self
    }

    pub(super) fn offset(self, offset: u64) -> Self {
        self.to.put_u64(offset);
        self
    }

    /// Attributes that set the mode, or nothing.
    pub(super) fn mode(self, mode: Option<u32>) -> Self {
        match mode {
            Some(mode) => self.number(field::MODE).number(mode),
            None => self.number(0),
        }
    }

    fn raw(self, bytes: &[u8]) -> Self {
        self.to.put_slice(bytes);
        self
    }

    /// Writes the length in front, now that it is known.
    pub(super) fn end(self) {
        let length = self.to.len() - self.start - size_of::<u32>();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(mut place) = self.to.get_mut(self.start..) {
            place.put_u32(length);
        }
    }
}

/// What a server knows of a file. It says what it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its kind and its permissions, as `st_mode`.
    mode: Option<u32>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Special,
}

impl Attributes {
    /// Those of a file with that `st_mode`.
    #[must_use]
    pub fn of_mode(mode: u32) -> Self {
        Self { size: None, mode: Some(mode) }
    }

    /// What the file is, where the server tells.
    #[must_use]
    pub fn kind(&self) -> Option<FileType> {
        // POSIX leaves the numbers open; SFTP's are those that everybody has.
        const KIND: u32 = 0o170_000;
        Some(match self.mode? & KIND {
            0 => return None,
            0o100_000 => FileType::File,
            0o040_000 => FileType::Directory,
            0o120_000 => FileType::Link,
            _ => FileType::Special,
        })
    }

    /// Who may read, write and execute it: nine bits. What else a mode can have, such as setuid, is left out.
    #[must_use]
    pub fn permissions(&self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o777)
    }
}

/// An entry of a directory. Its name is whatever the server says: it may well be `../x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name as it came.
    pub name: Bytes,
    /// What the server says of the file, links not followed.
    pub attributes: Attributes,
}

/// A reply to a request.
#[derive(Debug)]
pub(super) enum Reply {
    Status { code: u32, message: String },
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<DirectoryEntry>),
    Attributes(Attributes),
}

impl Reply {
    /// Takes a packet apart: the request's id, and the reply.
    pub(super) fn parse(mut packet: Bytes) -> Result<(u32, Self), Malformed> {
        let kind = packet.try_get_u8()?;
        let id = packet.try_get_u32()?;
        let reply = match kind {
            101 => {
                let code = packet.try_get_u32()?;
                // Old servers send no message.
                let message = text(&mut packet).unwrap_or_default();
                let message = String::from_utf8_lossy(&message).chars().take(LONGEST_MESSAGE).collect();
                Self::Status { code, message }
            }
            102 => {
                let handle = text(&mut packet)?;
                if handle.len() > LONGEST_HANDLE {
                    return Err(Malformed);
                }
                Self::Handle(handle)
            }
            103 => Self::Data(text(&mut packet)?),
            104 => {
                let count = packet.try_get_u32()?;
                let mut entries = Vec::new();
                // Each takes a part of the packet: a number that lies ends with it.
                for _ in 0..count {
                    let name = text(&mut packet)?;
                    let _listing = text(&mut packet)?;
                    entries.push(DirectoryEntry { name, attributes: attributes(&mut packet)? });
                }
                Self::Names(entries)
            }
            105 => Self::Attributes(attributes(&mut packet)?),
            _ => return Err(Malformed),
        };
        Ok((id, reply))
    }
}

/// Takes apart the first reply of all: the version, and whether a server can rename over what is there.
pub(super) fn version(mut packet: Bytes) -> Result<(u32, bool), Malformed> {
    const VERSION: u8 = 2;
    if packet.try_get_u8()? != VERSION {
        return Err(Malformed);
    }
    let version = packet.try_get_u32()?;
    let mut renames_over = false;
    while packet.has_remaining() {
        let name = text(&mut packet)?;
        let value = text(&mut packet)?;
        renames_over |= name == super::POSIX_RENAME && *value == *b"1";
    }
    Ok((version, renames_over))
}

fn attributes(packet: &mut Bytes) -> Result<Attributes, Malformed> {
    let fields = packet.try_get_u32()?;
    let has = |field| fields & field != 0;
    let size = if has(field::SIZE) { Some(packet.try_get_u64()?) } else { None };
    if has(field::OWNER) {
        packet.try_get_u64()?;
    }
    let mode = if has(field::MODE) { Some(packet.try_get_u32()?) } else { None };
    if has(field::TIMES) {
        packet.try_get_u64()?;
    }
    if has(field::EXTENDED) {
        for _ in 0..packet.try_get_u32()? {
            text(packet)?;
            text(packet)?;
        }
    }
    Ok(Attributes { size, mode })
}

fn text(packet: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = usize::try_from(packet.try_get_u32()?).map_err(|_| Malformed)?;
    if length > packet.remaining() {
        return Err(Malformed);
    }
    Ok(packet.split_to(length))
}

impl From<bytes::TryGetError> for Malformed {
    fn from(_: bytes::TryGetError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_that_lies_about_its_parts_is_refused() {
        let numbers = |kind: u8, numbers: &[u32]| {
            let mut packet = BytesMut::from(&[kind][..]);
            numbers.iter().for_each(|number| packet.put_u32(*number));
            packet.freeze()
        };
        for (packet, what) in [
            (Bytes::new(), "nothing"),
            (numbers(101, &[7]), "a status without a code"),
            (numbers(102, &[7, u32::MAX]), "a handle longer than the packet"),
            (numbers(102, &[&[7, 260][..], &[0; 65]].concat()), "a handle that is too long"),
            (numbers(103, &[7, 5, 0]), "data longer than the packet"),
            (numbers(104, &[7, u32::MAX, 0, 0, 0]), "fewer names than there should be"),
            (numbers(105, &[7, field::SIZE]), "a size that is not there"),
            (numbers(105, &[7, field::EXTENDED, u32::MAX]), "fewer extensions than there should be"),
            (numbers(7, &[7]), "a request"),
            (numbers(255, &[7, 0]), "no kind that there is"),
        ] {
            assert!(Reply::parse(packet).is_err(), "{what}");
        }
    }

    #[test]
    fn kinds_and_permissions_are_told_apart() {
        for (mode, kind, permissions) in [
            (0o104_755, Some(FileType::File), 0o755),
            (0o041_777, Some(FileType::Directory), 0o777),
            (0o120_777, Some(FileType::Link), 0o777),
            (0o010_600, Some(FileType::Special), 0o600),
            (0o140_600, Some(FileType::Special), 0o600),
            (0o644, None, 0o644),
        ] {
            let attributes = Attributes::of_mode(mode);
            assert_eq!((attributes.kind(), attributes.permissions()), (kind, Some(permissions)), "{mode:o}");
        }
        assert_eq!(Attributes::default().kind(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(packet: Vec<u8>, kind in 100_u8..106) {
            let _ = version(Bytes::from(packet.clone()));
            let _ = Reply::parse(Bytes::from([vec![kind], packet].concat()));
        }
    }
}
