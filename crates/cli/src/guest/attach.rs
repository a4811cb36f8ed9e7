//! A command in a guest, joined with this process's own input, output and terminal until it ends.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use ssh::{Input, Output, OutputChunk, SessionError, Signal, Terminal};
use tokio::time::timeout;

use super::Guest;
use crate::error::Error;
use crate::platform::RawTerminal;
use crate::terminal::{SIGPIPE, TerminationSignals, output, stdio};

/// How long a command that is asked to end by a signal may take for it.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// The kind of terminal where the environment does not say.
const DEFAULT_TERMINAL: &str = "xterm";

/// Runs a command, or the user's shell if it is none. It has a terminal if this process has one for its input and
/// its output; then keys such as Ctrl-C are the command's.
///
/// # Errors
/// [`Error::Exited`] if the command ended with another code than 0; a signal; or it was not run to its end.
pub(crate) async fn attach(
    guest: Guest,
    command: Option<&[u8]>,
    signals: &mut TerminationSignals,
) -> Result<String, Error> {
    let raw = (io::stdin().is_terminal() && io::stdout().is_terminal())
        .then(RawTerminal::new)
        .transpose()
        .map_err(Error::Terminal)?;
    let terminal = raw.as_ref().map(|raw| Terminal {
        kind: env::var("TERM").ok().filter(|kind| !kind.is_empty()).unwrap_or(DEFAULT_TERMINAL.to_owned()),
        size: raw.size(),
    });
    let starting = async {
        let started = guest.session.start(command, terminal.as_ref()).await;
        started.map_err(AttachError::Guest)
    };
    let outcome = tokio::select! {
        biased;
        signal = signals.received() => Err(AttachError::signal(signal)),
        started = starting => match started {
            Ok((input, output)) => join_streams(input, output, raw, signals).await,
            Err(fault) => Err(fault),
        },
    };
    match outcome {
        Ok(0) => Ok(String::new()),
        Ok(code) => Err(Error::Exited(code)),
        Err(AttachError::Local(error)) => Err(error),
        Err(AttachError::Guest(error)) => Err(guest.explain(error).await),
    }
}

/// What has ended the command before its exit.
enum AttachError {
    Local(Error),
    Guest(SessionError),
}

impl AttachError {
    fn signal(signal: io::Result<u8>) -> Self {
        Self::Local(signal.map_or_else(Error::Runtime, Error::Signal))
    }

    /// Whoever reads from this process and goes away ends it, as it does any other.
    fn writing(error: io::Error) -> Self {
        Self::Local(match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Signal(SIGPIPE),
            _ => Error::Output(error),
        })
    }
}

/// Connects the running command with this process until it ends, and returns its exit code.
async fn join_streams(
    input: Input,
    output: Output,
    raw: Option<RawTerminal>,
    signals: &mut TerminationSignals,
) -> Result<u8, AttachError> {
    let (has_terminal, mut raw) = (raw.is_some(), raw);
    let forwarding = async {
        // That the connection is gone, the output tells.
        let _ = forward_input(&input).await;
        std::future::pending().await
    };
    let resizing = async {
        if let Some(raw) = &mut raw {
            while let Some(size) = raw.resized().await {
                let _ = input.resize(size).await;
            }
        }
        std::future::pending().await
    };
    let mut showing = Box::pin(forward_output(output));
    let signal = tokio::select! {
        signal = signals.received() => signal,
        shown = &mut showing => return shown,
        never = forwarding => never,
        never = resizing => never,
    };
    // With a terminal, its end is a command's end. Without one, nobody tells the command but we.
    if !has_terminal && let Some(signal) = signal.as_ref().ok().and_then(|number| signal_of(*number)) {
        let ending = async {
            let _ = input.signal(signal).await;
            let _ = showing.await;
        };
        let _ = timeout(END_TIMEOUT, ending).await;
    }
    Err(AttachError::signal(signal))
}

fn signal_of(number: u8) -> Option<Signal> {
    Some(match number {
        1 => Signal::Hangup,
        2 => Signal::Interrupt,
        3 => Signal::Quit,
        15 => Signal::Terminate,
        _ => return None,
    })
}

/// Sends the command what this process is given, to the end of that.
async fn forward_input(input: &Input) -> Result<(), SessionError> {
    // A process may have no standard input at all.
    if let Ok(mut own) = stdio::Input::start() {
        while let Some(chunk) = own.next().await {
            match chunk {
                Ok(chunk) => input.write(chunk).await?,
                Err(error) => output::tell(&format!("cannot read standard input: {error}")),
            }
        }
    }
    input.end().await
}

/// Shows what the command writes, and returns its exit code.
async fn forward_output(mut output: Output) -> Result<u8, AttachError> {
    let unable = |error| AttachError::Local(Error::Output(error));
    let mut stdout = stdio::Output::stdout().map_err(unable)?;
    let mut stderr = stdio::Output::stderr().map_err(unable)?;
    let ended = loop {
        match output.next().await {
            Ok(Some(OutputChunk::Stdout(data))) => stdout.write(data).await.map_err(AttachError::writing)?,
            Ok(Some(OutputChunk::Stderr(data))) => stderr.write(data).await.map_err(AttachError::writing)?,
            Ok(None) => break output.exit(),
            Err(error) => break Err(error),
        }
    };
    // What came before a fault is shown, too.
    stdout.finish().await.map_err(AttachError::writing)?;
    stderr.finish().await.map_err(AttachError::writing)?;
    ended.map(|exit| exit.code()).map_err(AttachError::Guest)
}
