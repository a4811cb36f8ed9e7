//! A command in a guest, joined with this process's own input, output and terminal until it ends.

use std::env;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::time::Duration;

use ssh::{Input, Output, OutputChunk, SessionError, Signal, Terminal};
use tokio::time::timeout;

use crate::error::Error;
use crate::guest::Guest;
use crate::platform::{self, RawTerminal};
use crate::{output, pipes};

/// How long a command that is asked to end by a signal may take for it.
const END_LIMIT: Duration = Duration::from_secs(1);
/// The kind of terminal where the environment does not say.
const USUAL_TERMINAL: &str = "xterm";
/// `SIGPIPE`, which ends who writes to what nobody reads. Its number is the same everywhere.
pub(crate) const BROKEN_PIPE: u8 = 13;

/// The signals that ask this process to end.
pub(crate) struct Signals(Pin<Box<dyn Future<Output = io::Result<u8>> + Send>>);

impl Signals {
    /// Of this process.
    pub(crate) fn own() -> Self {
        Self(Box::pin(platform::interrupted()))
    }

    /// What comes of `work`, unless a signal comes first.
    ///
    /// # Errors
    /// Those of `work`, and the signal.
    pub(crate) async fn interrupt<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            signal = &mut self.0 => Err(signal.map_or_else(Error::Runtime, Error::Signal)),
            outcome = work => outcome,
        }
    }
}

/// Runs a command, or the user's shell if it is none. It has a terminal if this process has one for its input and
/// its output; then keys such as Ctrl-C are the command's.
///
/// # Errors
/// [`Error::Exited`] if the command ended with another code than 0; a signal; or it was not run to its end.
pub(crate) async fn attend(
    guest: Guest,
    command: Option<&[u8]>,
    signals: &mut Signals,
) -> Result<String, Error> {
    let raw = (io::stdin().is_terminal() && io::stdout().is_terminal())
        .then(RawTerminal::new)
        .transpose()
        .map_err(Error::Terminal)?;
    let terminal = raw.as_ref().map(|raw| Terminal {
        kind: env::var("TERM").ok().filter(|kind| !kind.is_empty()).unwrap_or(USUAL_TERMINAL.to_owned()),
        size: raw.size(),
    });
    let starting = async {
        let started = guest.session.start(command, terminal.as_ref()).await;
        started.map_err(Fault::Guest)
    };
    let worked = tokio::select! {
        biased;
        signal = &mut signals.0 => Err(Fault::signal(signal)),
        started = starting => match started {
            Ok((input, output)) => work(input, output, raw, signals).await,
            Err(fault) => Err(fault),
        },
    };
    match worked {
        Ok(0) => Ok(String::new()),
        Ok(code) => Err(Error::Exited(code)),
        Err(Fault::Here(error)) => Err(error),
        Err(Fault::Guest(error)) => Err(guest.explain(error).await),
    }
}

/// What has ended the work.
enum Fault {
    Here(Error),
    Guest(SessionError),
}

impl Fault {
    fn signal(signal: io::Result<u8>) -> Self {
        Self::Here(signal.map_or_else(Error::Runtime, Error::Signal))
    }

    /// Whoever reads from this process and goes away ends it, as it does any other.
    fn writing(error: io::Error) -> Self {
        Self::Here(match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Signal(BROKEN_PIPE),
            _ => Error::Output(error),
        })
    }
}

async fn work(
    input: Input,
    output: Output,
    raw: Option<RawTerminal>,
    signals: &mut Signals,
) -> Result<u8, Fault> {
    let (has_terminal, mut raw) = (raw.is_some(), raw);
    let feeding = async {
        // That the connection is gone, the output tells.
        let _ = feed(&input).await;
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
    let mut showing = Box::pin(show(output));
    let signal = tokio::select! {
        signal = &mut signals.0 => signal,
        shown = &mut showing => return shown,
        never = feeding => never,
        never = resizing => never,
    };
    // With a terminal, its end is a command's end. Without one, nobody tells the command but we.
    if !has_terminal && let Some(signal) = signal.as_ref().ok().and_then(|number| signal_of(*number)) {
        let ending = async {
            let _ = input.signal(signal).await;
            let _ = showing.await;
        };
        let _ = timeout(END_LIMIT, ending).await;
    }
    Err(Fault::signal(signal))
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
async fn feed(input: &Input) -> Result<(), SessionError> {
    // A process may have no standard input at all.
    if let Ok(mut own) = pipes::Input::begin() {
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
async fn show(mut output: Output) -> Result<u8, Fault> {
    let unable = |error| Fault::Here(Error::Output(error));
    let mut stdout = pipes::Output::stdout().map_err(unable)?;
    let mut stderr = pipes::Output::stderr().map_err(unable)?;
    let ended = loop {
        match output.next().await {
            Ok(Some(OutputChunk::Stdout(data))) => stdout.write(data).await.map_err(Fault::writing)?,
            Ok(Some(OutputChunk::Stderr(data))) => stderr.write(data).await.map_err(Fault::writing)?,
            Ok(None) => break output.exit(),
            Err(error) => break Err(error),
        }
    };
    // What came before a fault is shown, too.
    stdout.finish().await.map_err(Fault::writing)?;
    stderr.finish().await.map_err(Fault::writing)?;
    ended.map(|exit| exit.code()).map_err(Fault::Guest)
}
