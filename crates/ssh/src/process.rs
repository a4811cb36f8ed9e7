//! A command at work in a guest: what goes in, what comes out, how it ends. No more waits to be taken than SSH's
//! window and a few packets; then the guest has to wait.

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};

use crate::session::SessionError;

/// `SSH_EXTENDED_DATA_STDERR` (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// The terminal that a command is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its kind, as `TERM` names it.
    pub kind: String,
    /// Its size.
    pub size: TerminalSize,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// How wide it is.
    pub columns: u16,
    /// How high it is.
    pub rows: u16,
}

/// A command's input. The command goes on without it.
#[derive(Debug)]
pub struct Input(ChannelWriteHalf<Msg>);

/// A command's output, and its end.
#[derive(Debug)]
pub struct Output {
    channel: ChannelReadHalf,
    exit: Option<ExitStatus>,
}

/// A piece of a command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputChunk {
    /// Of its standard output; of a command with a terminal, all.
    Stdout(Bytes),
    /// Of its standard error.
    Stderr(Bytes),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(u32),
    /// By a signal of this name, as `TERM`.
    Signal(String),
}

/// What asks a command to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGHUP`.
    Hangup,
    /// `SIGINT`.
    Interrupt,
    /// `SIGQUIT`.
    Quit,
    /// `SIGTERM`.
    Terminate,
}

impl Input {
    pub(crate) fn new(channel: ChannelWriteHalf<Msg>) -> Self {
        Self(channel)
    }

    /// Sends bytes, as soon as the command takes them. If it does not live to take them, this does not end.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn write(&self, data: Bytes) -> Result<(), SessionError> {
        Ok(self.0.data_bytes(data).await?)
    }

    /// Tells that there is no more to come.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn end(&self) -> Result<(), SessionError> {
        Ok(self.0.eof().await?)
    }

    /// Tells that the terminal has another size.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), SessionError> {
        Ok(self.0.window_change(size.columns.into(), size.rows.into(), 0, 0).await?)
    }

    /// Has a signal sent to the command.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn signal(&self, signal: Signal) -> Result<(), SessionError> {
        let signal = match signal {
            Signal::Hangup => Sig::HUP,
            Signal::Interrupt => Sig::INT,
            Signal::Quit => Sig::QUIT,
            Signal::Terminate => Sig::TERM,
        };
        Ok(self.0.signal(signal).await?)
    }
}

impl Output {
    pub(crate) fn new(channel: ChannelReadHalf) -> Self {
        Self { channel, exit: None }
    }

    /// The next piece; none once the command has ended, and all that has its output open.
    ///
    /// # Errors
    /// The guest does not run the command, or has no terminal for it.
    pub async fn next(&mut self) -> Result<Option<OutputChunk>, SessionError> {
        while let Some(message) = self.channel.wait().await {
            match message {
                ChannelMsg::Data { data } => return Ok(Some(OutputChunk::Stdout(data))),
                ChannelMsg::ExtendedData { data, ext: STDERR } => return Ok(Some(OutputChunk::Stderr(data))),
                ChannelMsg::ExitStatus { exit_status } => self.exit = Some(ExitStatus::Code(exit_status)),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    self.exit = Some(ExitStatus::Signal(name_of(&signal_name)));
                }
                ChannelMsg::Failure => return Err(russh::Error::RequestDenied.into()),
                _ => {}
            }
        }
        Ok(None)
    }

    /// How the command ended, once there is no next piece.
    ///
    /// # Errors
    /// The connection ended first.
    pub fn exit(self) -> Result<ExitStatus, SessionError> {
        self.exit.ok_or(SessionError::Lost)
    }
}

fn name_of(signal: &Sig) -> String {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    };
    name.to_owned()
}

impl ExitStatus {
    /// As shells on Linux, which guests run, report it: the code, or 128 and the signal's number.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            // As it is in a process: no more than eight bits of it.
            Self::Code(code) => code.to_le_bytes()[0],
            Self::Signal(name) => number_of(name).map_or(u8::MAX, |number| 128 + number),
        }
    }
}

/// Of the signals that RFC 4254 names, and those that dropbear and OpenSSH tell besides.
fn number_of(signal: &str) -> Option<u8> {
    Some(match signal {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "TRAP" => 5,
        "ABRT" => 6,
        "BUS" => 7,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        "XCPU" => 24,
        "XFSZ" => 25,
        "SYS" => 31,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_with_what_a_shell_would_say() {
        for (exit, code) in [
            (ExitStatus::Code(0), 0),
            (ExitStatus::Code(255), 255),
            (ExitStatus::Code(256 + 3), 3),
            (ExitStatus::Signal("INT".to_owned()), 130),
            (ExitStatus::Signal("KILL".to_owned()), 137),
            (ExitStatus::Signal(String::new()), 255),
        ] {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
