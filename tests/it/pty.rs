//! A terminal for one command, with the test in front of it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use e2e::{Client, skip, wait_until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use rustix::termios::{Winsize, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(20);

/// A command whose input, output and controlling terminal are one pseudo-terminal.
pub(crate) struct Terminal {
    /// Where a keyboard and a screen would be.
    front: File,
    /// The command's side, kept open so that its settings can be looked at.
    back: OwnedFd,
    child: Child,
    shown: String,
}

/// Whether a command can be given a terminal; where not, that is said.
pub(crate) fn has_setsid() -> bool {
    let found = Command::new("setsid").arg("--version").output().is_ok();
    if !found {
        skip("needs setsid of util-linux, to give a command a terminal");
    }
    found
}

/// What a command left on the terminal.
pub(crate) struct Left {
    pub(crate) code: Option<i32>,
    /// All that was on the screen.
    pub(crate) shown: String,
    /// Whether typing is shown again.
    pub(crate) echo: bool,
}

impl Terminal {
    pub(crate) fn run(user: &Client, arguments: &[&str]) -> Self {
        let pty = openpty(None, None).expect("a pseudo-terminal");
        // Duplicates of the standard library's are not inherited by what other tests start.
        let front = File::from(pty.master.try_clone().expect("a descriptor"));
        let back = pty.slave.try_clone().expect("a descriptor");
        let side = || pty.slave.try_clone().expect("a descriptor");
        let program = user.command(arguments);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child =
            command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("setsid of util-linux runs");
        Self { front, back, child, shown: String::new() }
    }

    /// Waits until the screen ends in `text`.
    #[track_caller]
    pub(crate) fn waits_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown.ends_with(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).expect("a short time");
            let mut fds = [PollFd::new(self.front.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, timeout).expect("poll");
            assert!(ready > 0, "no {text:?} within {PATIENCE:?}: {:?}", self.shown);
            assert!(self.read(), "it ended without {text:?}: {:?}", self.shown);
        }
    }

    /// Adds what there is to read to what was shown; `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 1024];
        // Linux reports an error when nobody holds the other side any more.
        let count = self.front.read(&mut buffer).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.front.write_all(text.as_bytes()).expect("typed");
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.front, size).expect("resized");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("sent");
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echo(&self) -> bool {
        tcgetattr(&self.back).expect("settings").local_flags.contains(LocalFlags::ECHO)
    }

    /// Waits for the command's end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Left {
        let mut status = None;
        wait_until("the command ends", PATIENCE, || {
            status = self.child.try_wait().expect("a state");
            status.is_some()
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", self.shown));
        let echo = self.echo();
        // The last to hold the other side: what follows on the screen has an end.
        let Self { front, back, child, shown } = self;
        drop(back);
        let mut rest = Self { front, back: File::open("/dev/null").expect("nothing").into(), child, shown };
        while rest.read() {}
        Left { code: status.and_then(|status| status.code()), shown: std::mem::take(&mut rest.shown), echo }
    }
}
