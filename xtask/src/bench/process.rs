//! Programs that are measured: started, listened to and ended, each wait with a limit.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use e2e::through_shell;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::Value;

/// How long any of them may take for what it is asked.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks at a process that is about to end: what is measured takes milliseconds.
const LOOK: Duration = Duration::from_micros(100);

/// `command`, to be run on that processor alone.
pub(super) fn on_processor(number: usize, command: &Command) -> Command {
    through_shell(&format!("exec taskset --cpu-list {number} \"$@\""), command)
}

/// A program with whom one talks by lines. Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = child.stdout.take().context("a program without output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(Self { child, lines })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its next line, as JSON, and when it came.
    ///
    /// # Errors
    /// It says nothing more, or not in time, or something else.
    pub(super) fn line(&self) -> anyhow::Result<(Instant, Value)> {
        let (at, line) = self.lines.recv_timeout(LIMIT).context("the program did not answer")?;
        Ok((at, serde_json::from_str(&line)?))
    }

    /// Closes its input.
    pub(super) fn stop(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Closes its input and waits for its end.
    ///
    /// # Errors
    /// It failed, or did not end in time.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.stop();
        wait_for_end(self.child.id())?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the program failed: {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end; what it prints is one line of JSON.
///
/// # Errors
/// It cannot be run, fails, or does not end in time.
pub(super) fn ask(command: &mut Command) -> anyhow::Result<Value> {
    let process = Process::start(command)?;
    let (_, found) = process.line()?;
    process.end()?;
    Ok(found)
}

/// Runs a short program to its end and tells how many seconds it took.
///
/// # Errors
/// It cannot be run, fails, does not end in time, or prints something else than `expected` begins with.
pub(super) fn time(command: &mut Command, expected: &str) -> anyhow::Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
    let program = command.get_program().to_owned();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let pid = child.id();
    let (sender, ended) = channel();
    thread::spawn(move || sender.send((child.wait_with_output(), start.elapsed())));
    let Ok((output, took)) = ended.recv_timeout(LIMIT) else {
        signal(pid, Signal::SIGKILL)?;
        bail!("{} did not end within {LIMIT:?}", program.display());
    };
    let output = output?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && printed.starts_with(expected),
        "{} ended with {} and printed {printed:?}: {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(took.as_secs_f64())
}

/// Sends a signal to a process of ours.
///
/// # Errors
/// There is no such process.
pub(super) fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(process_id(pid)?, signal)?)
}

/// Waits until a child of ours has ended. Its status stays to be collected.
///
/// # Errors
/// It did not end in time.
pub(super) fn wait_for_end(pid: u32) -> anyhow::Result<()> {
    let pid = process_id(pid)?;
    let give_up = Instant::now() + LIMIT;
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), look)? == WaitStatus::StillAlive {
        ensure!(Instant::now() < give_up, "the program did not end within {LIMIT:?}");
        thread::sleep(LOOK);
    }
    Ok(())
}

/// The memory of a process that is resident, in bytes, once it has stopped to change.
///
/// # Errors
/// There is no such process, or it keeps changing.
pub(super) fn settled_memory(pid: u32) -> anyhow::Result<f64> {
    const QUIET: Duration = Duration::from_millis(100);
    let give_up = Instant::now() + Duration::from_secs(10);
    let mut before = memory(pid, "VmRSS:")?;
    loop {
        thread::sleep(QUIET);
        let now = memory(pid, "VmRSS:")?;
        if now == before {
            return Ok(now);
        }
        ensure!(Instant::now() < give_up, "the memory of process {pid} keeps changing");
        before = now;
    }
}

/// The most memory of a process that was ever resident, in bytes.
///
/// # Errors
/// There is no such process.
pub(super) fn peak_memory(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmHWM:")
}

/// What the system says of a process's memory by that name (proc_pid_status(5)), in bytes.
fn memory(pid: u32, name: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(Path::new(&path)).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).with_context(|| format!("no {name}"))?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}

fn process_id(pid: u32) -> anyhow::Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_timed_and_its_output_checked() {
        assert!(time(Command::new("echo").arg("hello"), "hello\n").unwrap() > 0.0);
        assert!(time(Command::new("echo").arg("hello"), "goodbye").is_err());
        assert!(time(&mut Command::new("false"), "").is_err());
        assert!(time(&mut Command::new("/nonexistent/program"), "").is_err());
    }

    #[test]
    fn a_program_is_asked() {
        assert_eq!(ask(Command::new("echo").arg("{\"a\": 1}")).unwrap()["a"], 1);
        for script in ["echo {}; exit 3", "echo nothing", "exit 0"] {
            assert!(ask(Command::new("sh").args(["-c", script])).is_err(), "{script}");
        }
    }

    #[test]
    fn a_program_keeps_to_a_processor() {
        // The count of those that it may use.
        let counted = ask(&mut on_processor(0, &Command::new("nproc"))).unwrap();
        assert_eq!(counted, 1);
    }

    #[test]
    fn a_program_stays_until_its_input_ends() {
        let process = Process::start(Command::new("sh").args(["-c", "echo 1; read line; echo 2"])).unwrap();
        assert_eq!(process.line().unwrap().1, 1);
        let now = settled_memory(process.pid()).unwrap();
        assert!(0.0 < now && now <= peak_memory(process.pid()).unwrap());
        process.end().unwrap();
    }
}
