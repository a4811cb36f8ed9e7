//! A clean Debian, started with its own systemd in a container, and commands in it.
//!
//! What is done in it reaches nothing of this machine's: it has its own files, processes and network, which leads
//! nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::command::{answer, run};

/// What it is made and started with.
pub(super) const PACKAGES: [&str; 3] = ["debian-archive-keyring", "mmdebstrap", "systemd-container"];

/// What is in it, beside the least that each Debian has: what the package recommends, so that nothing is fetched when
/// it is installed, and with what the test looks at it.
const INSIDE: [&str; 7] =
    ["bash-completion", "ca-certificates", "dbus", "man-db", "qemu-system-x86", "qemu-utils", "systemd-sysv"];

/// How long it may take to start, and to halt.
const DEADLINE: Duration = Duration::from_secs(90);

/// The running Debian. It is halted and removed when dropped.
#[derive(Debug)]
pub(super) struct Machine {
    container: Child,
    /// Its first process, as it is called outside.
    init: u32,
    /// Removed after the container has ended.
    folder: TempDir,
}

/// What became of a command in it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Machine {
    /// Makes it of the distribution's packages, and starts it.
    ///
    /// # Errors
    /// This is not root's, packages cannot be fetched, or it does not start.
    pub(super) fn start() -> anyhow::Result<Self> {
        let root = answer(Command::new("id").arg("-u")).is_some_and(|uid| uid == "0");
        ensure!(root, "only root can start a Debian in a container");
        // The programs are linked with this system's libraries, so it is of the same release.
        let suite = answer(Command::new("sh").args(["-c", ". /etc/os-release && echo $VERSION_CODENAME"]));
        let suite = suite.context("this system does not say which release of Debian it is")?;
        let folder = tempfile::Builder::new().prefix("multipass-dist-").tempdir_in("/var/tmp")?;
        let system = folder.path().join("system");
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
        bootstrap.arg(format!("--include={}", INSIDE.join(",")));
        run(bootstrap.arg(suite).arg(&system))?;

        let mut nspawn = Command::new("systemd-nspawn");
        nspawn
            .args(["--quiet", "--boot", "--private-network", "--console=pipe", "--link-journal=no"])
            // Of this machine's own systemd nothing is wanted: there may be none.
            .args(["--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"])
            .arg(format!("--directory={}", system.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let container = nspawn.spawn().context("cannot run systemd-nspawn")?;
        let mut machine = Self { container, init: 0, folder };
        machine.await_start()?;
        Ok(machine)
    }

    /// A path in it, from outside.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("system").join(path.trim_start_matches('/'))
    }

    /// Copies a file of this machine's into it.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn copy(&self, file: &Path, to: &str) -> anyhow::Result<()> {
        let copied = fs::copy(file, self.path(to));
        copied.map(drop).with_context(|| format!("cannot copy {} to {to}", file.display()))
    }

    /// Runs a line of shell as root.
    ///
    /// # Errors
    /// The container cannot be entered.
    pub(super) fn root(&self, line: &str) -> anyhow::Result<Outcome> {
        self.run(&["sh", "-c", line])
    }

    /// Runs a line of shell as a user who has logged in.
    ///
    /// # Errors
    /// The container cannot be entered.
    pub(super) fn user(&self, user: &str, line: &str) -> anyhow::Result<Outcome> {
        self.run(&["runuser", "--login", user, "--command", line])
    }

    fn run(&self, command: &[&str]) -> anyhow::Result<Outcome> {
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &self.init.to_string(), "--mount", "--uts", "--ipc", "--net", "--pid"])
            .args(["--root", "--wd", "--"])
            .args(command)
            .env_clear()
            .envs([("HOME", "/root"), ("LC_ALL", "C.UTF-8"), ("DEBIAN_FRONTEND", "noninteractive")])
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        let output = enter.output().context("cannot run nsenter")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Ok(Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    fn await_start(&mut self) -> anyhow::Result<()> {
        let nspawn = self.container.id();
        let children = format!("/proc/{nspawn}/task/{nspawn}/children");
        // Its program becomes systemd after it was forked.
        let started = e2e::wait_until("the container has a first process", DEADLINE, || {
            let first = fs::read_to_string(&children).unwrap_or_default();
            let first = first.split_whitespace().next().and_then(|first| first.parse::<u32>().ok());
            let is_systemd = |process: &u32| {
                fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name == "systemd\n")
            };
            self.init = first.filter(is_systemd).unwrap_or_default();
            self.init != 0
        });
        started?;
        let mut state = String::new();
        let started = e2e::wait_until("the container has started", DEADLINE, || {
            let outcome = self.root("systemctl is-system-running");
            state = outcome.map_or_else(|error| error.to_string(), |outcome| outcome.stdout);
            ["running", "degraded"].contains(&state.as_str())
        });
        started.with_context(|| format!("its systemd says: {state}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Which nspawn takes for a wish to halt, and the second time for one to kill.
        for _ in 0..2 {
            if let Ok(process) = i32::try_from(self.container.id()) {
                let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
            }
            let over = || self.container.try_wait().is_ok_and(|ended| ended.is_some());
            if e2e::wait_until("the container has halted", DEADLINE, over).is_ok() {
                return;
            }
        }
        let _ = self.container.kill();
        let _ = self.container.wait();
    }
}
