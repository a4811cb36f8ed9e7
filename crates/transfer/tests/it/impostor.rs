//! A guest that says of its files whatever a test wants it to.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ssh::sftp::Sftp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) const FILE: u32 = 0o100_644;
pub(crate) const DIRECTORY: u32 = 0o040_755;
pub(crate) const LINK: u32 = 0o120_777;

/// What it says. Paths are as they are asked for, and its handles are the paths.
#[derive(Default)]
pub(crate) struct Impostor {
    /// What the directory at a path lists: names and modes.
    pub(crate) lists: BTreeMap<Vec<u8>, Vec<(Vec<u8>, u32)>>,
    /// The contents of files, and the targets of links.
    pub(crate) contents: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Every directory that it is not told of lists these.
    pub(crate) otherwise: Vec<(Vec<u8>, u32)>,
    /// Lists come again and again.
    pub(crate) endless: bool,
    /// The length of every file, as it says.
    pub(crate) size: u64,
    /// Goes away when a file is read from here.
    pub(crate) cut: Option<u64>,
    /// Falls silent when a file is read from here.
    pub(crate) silent: Option<u64>,
}

impl Impostor {
    /// One whose directory `top` lists these.
    pub(crate) fn listing(entries: &[(&[u8], u32)]) -> Self {
        Self { lists: BTreeMap::from([(b"top".to_vec(), owned(entries))]), ..Self::default() }
    }

    pub(crate) fn with_list(mut self, path: &str, entries: &[(&[u8], u32)]) -> Self {
        self.lists.insert(path.into(), owned(entries));
        self
    }

    pub(crate) fn with_content(mut self, path: &str, content: &[u8]) -> Self {
        self.contents.insert(path.into(), content.to_vec());
        self
    }

    /// Begins to answer.
    pub(crate) async fn start(self) -> Sftp<DuplexStream> {
        let (near, far) = duplex(1 << 20);
        tokio::spawn(self.serve(far));
        Sftp::open(near).await.unwrap()
    }

    async fn serve(self, mut stream: DuplexStream) {
        let mut listed = Vec::new();
        while let Ok(length) = stream.read_u32().await {
            let mut packet = vec![0; length as usize];
            stream.read_exact(&mut packet).await.unwrap();
            let mut packet = Bytes::from(packet);
            let (kind, id) = (packet.get_u8(), packet.get_u32());
            let mut reply = BytesMut::new();
            if kind == 1 {
                reply.put_slice(&[2, 0, 0, 0, 3]);
            } else {
                let Some(answer) = self.answer(kind, id, packet, &mut listed) else { return };
                reply = answer;
            }
            if reply.is_empty() {
                continue;
            }
            stream.write_u32(reply.len() as u32).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }

    /// None to hang up; nothing to be silent.
    fn answer(&self, kind: u8, id: u32, mut packet: Bytes, listed: &mut Vec<Bytes>) -> Option<BytesMut> {
        let length = packet.get_u32() as usize;
        let path = packet.split_to(length);
        let mut reply = BytesMut::new();
        let mut begin = |kind| {
            reply.put_u8(kind);
            reply.put_u32(id);
        };
        match kind {
            // STAT and LSTAT: a directory unless it has content.
            17 | 7 => {
                begin(105);
                let mode = if self.contents.contains_key(&path[..]) { FILE } else { DIRECTORY };
                self.attributes(&mut reply, mode);
            }
            3 | 11 => {
                begin(102);
                text(&mut reply, &path);
            }
            12 if self.is_listed(&path, listed) => {
                begin(101);
                reply.put_u32(1);
                listed.retain(|other| other != &path);
            }
            12 => {
                begin(104);
                let entries = self.lists.get(&path[..]).unwrap_or(&self.otherwise);
                reply.put_u32(entries.len() as u32);
                for (name, mode) in entries {
                    text(&mut reply, name);
                    text(&mut reply, b"");
                    self.attributes(&mut reply, *mode);
                }
                listed.push(path);
            }
            19 => {
                begin(104);
                reply.put_u32(1);
                text(&mut reply, self.contents.get(&path[..]).map_or(&b""[..], |target| target));
                text(&mut reply, b"");
                reply.put_u32(0);
            }
            5 => {
                let (offset, length) = (packet.get_u64(), u64::from(packet.get_u32()));
                if self.cut.is_some_and(|cut| offset >= cut) {
                    return None;
                }
                if self.silent.is_some_and(|silent| offset >= silent) {
                    return Some(reply);
                }
                let content = self.contents.get(&path[..]).map_or(&b""[..], |content| content);
                let from = content.len().min(offset as usize);
                let to = content.len().min((offset + length) as usize);
                if from == to {
                    begin(101);
                    reply.put_u32(1);
                } else {
                    begin(103);
                    text(&mut reply, &content[from..to]);
                }
            }
            _ => {
                begin(101);
                reply.put_u32(0);
            }
        }
        Some(reply)
    }

    /// Whether there is no more to list.
    fn is_listed(&self, path: &Bytes, listed: &[Bytes]) -> bool {
        let entries = self.lists.get(&path[..]).unwrap_or(&self.otherwise);
        entries.is_empty() || (listed.contains(path) && !self.endless)
    }

    fn attributes(&self, reply: &mut BytesMut, mode: u32) {
        reply.put_u32(0x5);
        reply.put_u64(self.size);
        reply.put_u32(mode);
    }
}

fn owned(entries: &[(&[u8], u32)]) -> Vec<(Vec<u8>, u32)> {
    entries.iter().map(|(name, mode)| (name.to_vec(), *mode)).collect()
}

fn text(reply: &mut BytesMut, text: &[u8]) {
    reply.put_u32(text.len() as u32);
    reply.put_slice(text);
}
