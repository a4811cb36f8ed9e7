//! A temporary directory that all users may enter, with the binaries in it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A place for one test: removed at its end.
#[derive(Debug)]
pub struct Sandbox {
    directory: TempDir,
}

/// A user and groups to run a program as. The user needs no entry in the user database.
#[derive(Clone, Debug)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What is in each sandbox.
const PROGRAMS: [&str; 2] = ["multipass", "multipassd"];
/// Names the directory of the binaries, where they were not built along with the tests: those of another target.
const BINARIES: &str = "MULTIPASS_TEST_BINARIES";
/// Names what starts them, where they do not start by themselves: an emulator and its arguments.
const RUNNER: &str = "MULTIPASS_TEST_RUNNER";

impl Sandbox {
    /// Makes a sandbox with the binaries found in `binaries`.
    ///
    /// # Errors
    /// The binaries are not there, or the directory cannot be made.
    pub fn new(binaries: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("multipass-").tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let sandbox = Self { directory };
        for name in PROGRAMS {
            let from = binaries.join(name);
            if !from.exists() {
                let hint = format!("{} is missing; run 'cargo build --workspace --bins'", from.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, hint));
            }
            // Where they were built, other users may not be able to reach them.
            fs::hard_link(&from, sandbox.path(name)).or_else(|_| copy(&from, &sandbox.path(name)))?;
        }
        Ok(sandbox)
    }

    /// A sandbox with the binaries that were built along with the running test, or with those of another target that
    /// the environment names.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn of_this_build() -> io::Result<Self> {
        let Some(binaries) = std::env::var_os(BINARIES) else {
            // Tests run from target/<profile>/deps.
            let test = std::env::current_exe()?;
            let profile = test
                .parent()
                .and_then(Path::parent)
                .ok_or_else(|| io::Error::other("no target directory"))?;
            return Self::new(profile);
        };
        let sandbox = Self::new(Path::new(&binaries))?;
        if let Some(runner) = std::env::var(RUNNER).ok().filter(|runner| !runner.is_empty()) {
            sandbox.start_by(&runner)?;
        }
        Ok(sandbox)
    }

    /// Puts a script in the place of each binary, which starts it by `runner`: so it is started as any program is, by
    /// any user and from any shell.
    fn start_by(&self, runner: &str) -> io::Result<()> {
        let programs = self.path("programs");
        fs::create_dir(&programs)?;
        for name in PROGRAMS {
            let (program, script) = (programs.join(name), programs.join(format!("{name}.sh")));
            fs::rename(self.path(name), &program)?;
            fs::write(&script, format!("#!/bin/sh\nexec {runner} '{}' \"$@\"\n", program.display()))?;
            fs::set_permissions(&script, Permissions::from_mode(0o755))?;
            copy(&script, &self.path(name))?;
        }
        Ok(())
    }

    /// A path in the sandbox.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Account {
    /// A program run as this account. Without one, programs run as whoever runs the test.
    #[must_use]
    pub fn command(account: Option<&Self>, program: &Path) -> Command {
        let Some(account) = account else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.arg("--reuid").arg(account.uid.to_string()).arg("--regid").arg(account.gid.to_string());
        if account.groups.is_empty() {
            command.arg("--clear-groups");
        } else {
            let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
            command.arg("--groups").arg(groups.join(","));
        }
        command.arg("--").arg(program);
        command
    }
}

/// Copies a program by a process of its own. A descriptor of ours, open for writing, could be inherited by what
/// another test starts just then, and a program that is open for writing cannot be run.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("cp").arg("--").arg(from).arg(to).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// `command` as the arguments `"$@"` of a shell script, which sets the scene and then runs it with `exec`.
#[must_use]
pub fn through_shell(script: &str, command: &Command) -> Command {
    through_program("sh", &["-c", script, "sh"], command)
}

/// `command` as the last arguments of a program that becomes it.
pub(crate) fn through_program(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut through = Command::new(program);
    through.args(arguments).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => through.env(name, value),
            None => through.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        through.current_dir(directory);
    }
    through
}

/// Whether the tests may act as any user.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program of the tests may have mounts of its own: as root, though in few containers.
#[must_use]
pub fn may_mount() -> bool {
    let mounts = ["--mount", "--propagation", "private", "true"];
    Command::new("unshare").args(mounts).output().is_ok_and(|output| output.status.success())
}

/// Polls until `condition` holds.
///
/// # Errors
/// It does not within `deadline`.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> io::Result<()> {
    let end = Instant::now() + deadline;
    while !condition() {
        if Instant::now() > end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what}: not within {deadline:?}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
