//! Moving a file's bytes, with as many requests under way as a fast connection needs.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::packet::{Reply, kind};
use super::{Handle, Sftp, SftpError, code, unexpected};

/// What one request moves. Every server takes so much: "all servers SHOULD support packets of at least 34000 bytes".
const PIECE: u32 = 32 * 1024;
/// So many requests are under way at most: 2 MiB, as much as a channel of SSH takes by itself.
const WINDOW: usize = 64;
/// Reads begin with so few, as most files are small: one that gets the file, one that finds its end.
const FIRST_READS: usize = 2;

/// A part of a file that has been asked for.
struct Piece {
    id: u32,
    offset: u64,
    length: u32,
    reply: Option<Reply>,
}

impl<S: AsyncRead + AsyncWrite> Sftp<S> {
    /// Gives an open file to `sink` piece by piece, from its beginning to its end as it is found.
    ///
    /// # Errors
    /// See [`SftpError`]; some of the bytes may have been written.
    pub async fn read_to(
        &mut self,
        file: &Handle,
        mut sink: impl AsyncFnMut(Bytes) -> io::Result<()>,
    ) -> Result<(), SftpError> {
        let mut pieces = VecDeque::new();
        let mut window = FIRST_READS;
        let mut next = 0;
        // With the end found or a failure met, nothing more is asked for, but what is under way is waited for.
        let mut outcome = None;
        loop {
            while outcome.is_none() && pieces.len() < window {
                pieces.push_back(self.ask(file, next, PIECE));
                next += u64::from(PIECE);
            }
            let Some(mut piece) = pieces.pop_front() else { break };
            let reply = self.reply_to(&mut piece, &mut pieces).await?;
            if outcome.is_some() {
                continue;
            }
            match reply {
                Reply::Data(data) => {
                    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    if length == 0 || length > piece.length {
                        return Err(SftpError::Protocol("another number of bytes than was asked for"));
                    }
                    if let Err(error) = sink(data).await {
                        outcome = Some(Err(SftpError::Sink(error)));
                    } else if length < piece.length {
                        let rest = self.ask(file, piece.offset + u64::from(length), piece.length - length);
                        pieces.push_front(rest);
                    } else {
                        window = (window + 1).min(WINDOW);
                    }
                }
                Reply::Status { code: code::END, .. } => outcome = Some(Ok(())),
                other => outcome = Some(Err(unexpected(other))),
            }
        }
        outcome.unwrap_or(Ok(()))
    }

    /// Writes what `source` gives, to its end, into an open file from its beginning, and tells how much each time.
    ///
    /// # Errors
    /// See [`SftpError`]; some of the bytes may have been written.
    pub async fn write_from(
        &mut self,
        file: &Handle,
        source: &mut (impl AsyncRead + Unpin),
        mut moved: impl FnMut(usize),
    ) -> Result<(), SftpError> {
        let piece = usize::try_from(PIECE).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::with_capacity(piece);
        let mut offset: u64 = 0;
        let mut waiting: VecDeque<u32> = VecDeque::new();
        let mut outcome = None;
        loop {
            let reads = outcome.is_none() && waiting.len() < WINDOW;
            if !reads && waiting.is_empty() {
                return outcome.unwrap_or(Ok(()));
            }
            tokio::select! {
                read = source.read_buf(&mut buffer), if reads => match read {
                    Ok(0) => outcome = Some(Ok(())),
                    Ok(length) => {
                        let write = self.send(kind::WRITE, |request| {
                            request.text(&file.0).offset(offset).text(&buffer)
                        });
                        waiting.push_back(write);
                        offset += length as u64;
                        buffer.clear();
                        moved(length);
                    }
                    Err(error) => outcome = Some(Err(SftpError::Source(error))),
                },
                reply = self.reply(), if !waiting.is_empty() => {
                    let (id, reply) = reply?;
                    let Some(place) = waiting.iter().position(|waits| *waits == id) else {
                        return Err(SftpError::Protocol("a reply to no request"));
                    };
                    waiting.remove(place);
                    match reply {
                        Reply::Status { code: code::OK, .. } => {}
                        // The first failure is the one to tell.
                        other if !matches!(outcome, Some(Err(_))) => outcome = Some(Err(unexpected(other))),
                        _ => {}
                    }
                }
            }
        }
    }

    fn ask(&mut self, file: &Handle, offset: u64, length: u32) -> Piece {
        let id = self.send(kind::READ, |request| request.text(&file.0).offset(offset).number(length));
        Piece { id, offset, length, reply: None }
    }

    /// Waits for the reply to `piece`. Replies to `others` may come before, and are kept with them.
    async fn reply_to(
        &mut self,
        piece: &mut Piece,
        others: &mut VecDeque<Piece>,
    ) -> Result<Reply, SftpError> {
        loop {
            if let Some(reply) = piece.reply.take() {
                return Ok(reply);
            }
            let (id, reply) = self.reply().await?;
            if id == piece.id {
                return Ok(reply);
            }
            let Some(other) = others.iter_mut().find(|other| other.id == id && other.reply.is_none()) else {
                return Err(SftpError::Protocol("a reply to no request"));
            };
            // What is kept is no more than what was asked for.
            let fits = match &reply {
                Reply::Data(data) => data.len() <= other.length as usize,
                Reply::Status { .. } => true,
                _ => false,
            };
            if !fits {
                return Err(SftpError::Protocol("a reply to another request"));
            }
            other.reply = Some(reply);
        }
    }
}
