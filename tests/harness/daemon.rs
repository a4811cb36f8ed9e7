//! A running `multipassd`.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::through_program;
use crate::{Account, Sandbox, Via, through_shell, wait_until};

/// How long a daemon may take to start or to stop.
const DEADLINE: Duration = Duration::from_secs(20);

/// How to start a daemon.
#[derive(Clone, Debug, Default)]
pub struct DaemonOptions {
    /// The user to run it as; by default whoever runs the test.
    pub account: Option<Account>,
    /// `--verbosity`; by default the daemon's own.
    pub verbosity: Option<&'static str>,
    /// Its umask, in octal; by default that of whoever runs the test.
    pub umask: Option<&'static str>,
    /// How many descriptors it may have; by default as many as whoever runs the test.
    pub descriptors: Option<u32>,
    /// The one processor that it runs on; by default any.
    pub processor: Option<usize>,
    /// The transport that clients use; by default the Unix socket.
    pub via: Via,
    /// Further transports that it listens on.
    pub also: Vec<Via>,
    /// Where its Unix socket is; by default beside its files.
    pub socket: Option<PathBuf>,
    /// Where it publishes its root certificate; by default beside its files.
    pub root_certificate: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Files that it alone finds in the place of others: what is there, and where. Needs root, and Linux.
    pub in_place: Vec<(PathBuf, PathBuf)>,
}

/// A daemon of its own files, killed when dropped. Its name keeps apart several in one sandbox.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    addresses: Vec<(Via, String)>,
    /// The Unix socket's path, if there is one.
    pub socket: PathBuf,
    /// The published root certificate.
    pub root_certificate: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// What it writes to standard error.
    pub log: PathBuf,
    /// How much was in there when it started.
    logged_before: u64,
}

impl Daemon {
    /// Starts a daemon and waits until it listens.
    ///
    /// # Errors
    /// It ends instead, or does not listen in time; the message holds its log.
    pub fn start(sandbox: &Sandbox, name: &str, options: &DaemonOptions) -> io::Result<Self> {
        let mut daemon = Self::spawn(sandbox, name, options)?;
        let log = daemon.log.clone();
        let mut ended = None;
        let listening = wait_until("the daemon listens", DEADLINE, || {
            ended = daemon.child.try_wait().ok().flatten();
            ended.is_some() || daemon.listens(options.via)
        });
        match (listening, ended) {
            (Ok(()), None) => Ok(daemon),
            (result, ended) => Err(io::Error::other(format!(
                "{result:?}, ended: {ended:?}\n{}",
                fs::read_to_string(log).unwrap_or_default()
            ))),
        }
    }

    /// Starts a daemon, which may end by itself.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn spawn(sandbox: &Sandbox, name: &str, options: &DaemonOptions) -> io::Result<Self> {
        let home = sandbox.path(name);
        fs::create_dir_all(&home)?;
        if let Some(account) = &options.account {
            std::os::unix::fs::chown(&home, Some(account.uid), Some(account.gid))?;
        }
        let root_certificate = options.root_certificate.clone().unwrap_or_else(|| home.join("root.pem"));
        let socket = options.socket.clone().unwrap_or_else(|| home.join("socket"));
        let addresses = std::iter::once(&options.via)
            .chain(&options.also)
            .map(|via| Ok((*via, via.address(&home, &socket)?)))
            .collect::<io::Result<Vec<_>>>()?;
        let log = home.join("log");
        let output = File::options().append(true).create(true).open(&log)?;
        let logged_before = output.metadata()?.len();
        let mut command = Account::command(options.account.as_ref(), &sandbox.path("multipassd"));
        command
            .args(addresses.iter().flat_map(|(_, address)| ["--address", address]))
            .arg("--root-cert")
            .arg(&root_certificate)
            .args(options.verbosity.iter().flat_map(|level| ["--verbosity", level]))
            .args(&options.arguments)
            .env("MULTIPASS_STORAGE", &home)
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        let umask = options.umask.map(|umask| format!("umask {umask}; "));
        let limit = options.descriptors.map(|limit| format!("ulimit -n {limit}; "));
        let processor =
            options.processor.map(|number| format!("taskset -cp {number} $$ > /dev/null || exit; "));
        let in_place = options.in_place.iter();
        let mounts = in_place.map(|(file, place)| {
            format!("mount --bind '{}' '{}' || exit; ", file.display(), place.display())
        });
        let scene: String = [umask, limit, processor].into_iter().flatten().chain(mounts).collect();
        if !scene.is_empty() {
            command = through_shell(&format!("{scene}exec \"$@\""), &command);
        }
        if !options.in_place.is_empty() {
            command = through_program("unshare", &["--mount", "--propagation", "private"], &command);
        }
        command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let (child, data) = (command.spawn()?, home.join("data"));
        Ok(Self { child, addresses, socket, root_certificate, data, log, logged_before })
    }

    fn listens(&self, via: Via) -> bool {
        match via {
            Via::Unix => UnixStream::connect(&self.socket).is_ok(),
            // A port says nothing of who listens on it, and one of UDP says nothing at all.
            Via::Tcp | Via::Quic => self.logged_since_start().contains("listening on "),
        }
    }

    /// What it has logged; not those before it with the same files.
    fn logged_since_start(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.logged_before).unwrap_or(usize::MAX);
        String::from_utf8_lossy(all.get(from..).unwrap_or_default()).into_owned()
    }

    /// All that it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The address as clients are told it.
    #[must_use]
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", |(_, address)| address)
    }

    /// The address of one of its transports; none if it does not listen there.
    #[must_use]
    pub fn address_over(&self, via: Via) -> Option<&str> {
        self.addresses.iter().find(|(known, _)| *known == via).map(|(_, address)| address.as_str())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(self) -> io::Result<ExitStatus> {
        self.stop_with(Signal::SIGTERM)
    }

    /// Sends it a signal and waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop_with(mut self, signal: Signal) -> io::Result<ExitStatus> {
        self.signal(signal)?;
        self.wait()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut status = None;
        wait_until("the daemon ends", DEADLINE, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        })?;
        status.ok_or_else(|| io::Error::other("the daemon's status is unknown"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
