//! This process, and what the system tells of others.

use std::{fs, io};

use tokio::signal::unix::{SignalKind, signal};

/// Keeps what this process has in its memory, keys and passphrases, out of core dumps and out of the reach of the
/// user's other programs.
///
/// # Errors
/// The system refuses.
pub(crate) fn keep_memory_private() -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // A program that dumps are piped to gets them all the same, unless there are none (core(5)).
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Waits for a signal that asks the client to end, and returns its number.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) async fn termination_signal() -> io::Result<u8> {
    // POSIX gives these four their numbers.
    const SIGHUP: u8 = 1;
    const SIGINT: u8 = 2;
    const SIGQUIT: u8 = 3;
    const SIGTERM: u8 = 15;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = hangup.recv() => SIGHUP,
        _ = interrupt.recv() => SIGINT,
        _ = quit.recv() => SIGQUIT,
        _ = terminate.recv() => SIGTERM,
    })
}

/// Whether a process was stopped, and waits to be continued, where the system tells it.
pub(crate) fn is_stopped(process: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.is_ok_and(|text| text.lines().any(|line| line.starts_with("State:\tT")))
}
