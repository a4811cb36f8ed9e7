//! QMP: what is said to a running QEMU, a line of JSON each way.
//!
//! One command at a time, each with a deadline; of QEMU's events only its own end and a full disk are kept. A QEMU that a guest
//! has broken into may say anything here: its lines are bounded, and what it sends unasked fills nothing.

pub(crate) mod commands;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, WriteHalf};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::commands::{Capabilities, Command};
pub(crate) use self::wire::printable;
use self::wire::{Incoming, Reply, Shutdown, next_line};

/// Answers that may wait to be read: one, and those that came too late for their command.
const ANSWERS: usize = 8;
const GREETING_WITHIN: Duration = Duration::from_secs(20);

/// A connection to a running QEMU.
#[derive(Debug)]
pub(crate) struct Qmp<S> {
    turn: Mutex<Turn<S>>,
    end: watch::Receiver<Option<End>>,
    /// That the machine was halted, because its disk could not be written.
    halted: Arc<Notify>,
    reader: AbortHandle,
}

#[derive(Debug)]
struct Turn<S> {
    write: WriteHalf<S>,
    replies: mpsc::Receiver<Reply>,
    /// Commands are numbered, so that an answer that came too late is not taken for the next command's.
    last: u64,
}

/// How the connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The guest shut itself down.
    GuestShutDown,
    /// QEMU was told to end, or has died.
    Ended,
}

/// Why a command has not been carried out.
#[derive(Debug, Error)]
pub(crate) enum QmpError {
    /// QEMU has ended, or no longer speaks to us.
    #[error("QEMU has ended")]
    Closed,
    /// No answer.
    #[error("QEMU has not answered '{command}' within {} seconds", within.as_secs())]
    TimedOut { command: &'static str, within: Duration },
    /// QEMU says why not.
    #[error("QEMU refuses '{command}': {why}")]
    Refused { command: &'static str, why: String },
    /// An answer that is none.
    #[error("QEMU's answer to '{command}' is not understood")]
    NotUnderstood { command: &'static str, source: serde_json::Error },
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Qmp<S> {
    /// Greets QEMU. Nothing can be told it before.
    ///
    /// # Errors
    /// It does not greet in time, or in no way that is understood.
    pub(crate) async fn greet(stream: S) -> Result<Self, QmpError> {
        let command = Capabilities::NAME;
        let (read, write) = tokio::io::split(stream);
        let mut read = BufReader::new(read);
        let greeting = timeout(GREETING_WITHIN, next_line(&mut read)).await;
        let timed_out = QmpError::TimedOut { command, within: GREETING_WITHIN };
        greeting.map_err(|_| timed_out)?.ok().flatten().ok_or(QmpError::Closed)?;

        let (answer, replies) = mpsc::channel(ANSWERS);
        let (ended, end) = watch::channel(None);
        let halted = Arc::new(Notify::new());
        let notify = Arc::clone(&halted);
        let reader = tokio::spawn(async move {
            let end = listen(&mut read, &answer, &notify).await;
            // Nobody need be interested.
            let _ = ended.send(Some(end));
        });
        let turn = Mutex::new(Turn { write, replies, last: 0 });
        let qmp = Self { turn, end, halted, reader: reader.abort_handle() };
        qmp.run(Capabilities {}).await?;
        Ok(qmp)
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// QEMU refuses it, does not answer in time, or has ended.
    pub(crate) async fn run<C: Command>(&self, command: C) -> Result<C::Answer, QmpError> {
        let mut turn = self.turn.lock().await;
        let (name, within) = (C::NAME, C::WITHIN);
        let answer = timeout(within, turn.run(&command)).await;
        let answer = answer.map_err(|_| QmpError::TimedOut { command: name, within })??;
        serde_json::from_value(answer).map_err(|source| QmpError::NotUnderstood { command: name, source })
    }

    /// Waits until the machine is halted, because its disk cannot be written. Cancel-safe.
    pub(crate) async fn halted(&self) {
        self.halted.notified().await;
    }

    /// Waits until QEMU has ended, or no longer speaks to us. Cancel-safe.
    pub(crate) async fn end(&self) -> End {
        let mut end = self.end.clone();
        // An error means that the reader is gone without a word.
        let end = end.wait_for(Option::is_some).await;
        end.ok().and_then(|end| end.clone()).unwrap_or(End::Ended)
    }
}

impl<S: AsyncRead + AsyncWrite> Turn<S> {
    async fn run<C: Command>(&mut self, command: &C) -> Result<serde_json::Value, QmpError> {
        self.last += 1;
        let not_understood = |source| QmpError::NotUnderstood { command: C::NAME, source };
        let line = wire::command(C::NAME, command, self.last).map_err(not_understood)?;
        self.write.write_all(&line).await.map_err(|_| QmpError::Closed)?;
        loop {
            let reply = self.replies.recv().await.ok_or(QmpError::Closed)?;
            if reply.id != self.last {
                continue;
            }
            return reply.answer.map_err(|why| QmpError::Refused { command: C::NAME, why });
        }
    }
}

impl<S> Drop for Qmp<S> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Hands on the answers until QEMU has ended, or talks nonsense.
async fn listen(
    read: &mut (impl tokio::io::AsyncBufRead + Unpin),
    answers: &mpsc::Sender<Reply>,
    halted: &Notify,
) -> End {
    let mut end = End::Ended;
    while let Ok(Some(line)) = next_line(read).await {
        match wire::parse(&line) {
            Some(Incoming::Reply(reply)) => {
                if answers.try_send(reply).is_err() {
                    tracing::warn!("unexpected reply from QEMU; closing the connection");
                    break;
                }
            }
            Some(Incoming::Shutdown(Shutdown { guest: true, reason })) if reason == "guest-shutdown" => {
                end = End::GuestShutDown;
            }
            Some(Incoming::Halted) => halted.notify_one(),
            Some(Incoming::Shutdown(_) | Incoming::Other) => {}
            None => {
                tracing::warn!("QEMU says what is not understood; it is no longer listened to");
                break;
            }
        }
    }
    end
}

#[cfg(test)]
mod tests;
