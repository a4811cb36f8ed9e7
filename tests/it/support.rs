//! What most tests begin with: a daemon in a sandbox, users of it, and what their commands must do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::{
    Account, Client, Daemon, DaemonOptions, Outcome, Sandbox, Via, is_root, note_on_instances, skip,
    through_shell, wait_until,
};
use nix::sys::signal::Signal;
use nix::unistd::Group;
use sha2::{Digest, Sha256};

/// The version of everything in this workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The daemon's name in its sandbox.
pub(crate) const DAEMON: &str = "service";
/// How soon the daemon notices what was done to its files.
const DEADLINE: Duration = Duration::from_secs(20);
/// What `list` prints where there is nothing to list.
pub(crate) const NO_INSTANCES: &str = "No instances found.\n";
/// What a client must read that is not trusted.
pub(crate) const NOT_AUTHENTICATED: &[&str] = &[
    "not authenticated with the Multipass service",
    "Please authenticate before proceeding",
    "multipass authenticate",
];

/// A daemon and its sandbox.
pub(crate) struct Service {
    pub(crate) daemon: Daemon,
    pub(crate) sandbox: Sandbox,
    options: DaemonOptions,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(DaemonOptions::default())
    }

    pub(crate) fn start_with(options: DaemonOptions) -> Self {
        Self::start_in(Sandbox::of_this_build().expect("a sandbox"), options)
    }

    pub(crate) fn start_in(sandbox: Sandbox, options: DaemonOptions) -> Self {
        let daemon = Daemon::start(&sandbox, DAEMON, &options).expect("a daemon that listens");
        Self { daemon, sandbox, options }
    }

    /// One more daemon like it, with files of its own.
    pub(crate) fn another(&self) -> Self {
        Self::start_with(self.options.clone())
    }

    /// Ends the daemon by `signal` and starts one on the same files.
    pub(crate) fn restart(self, signal: Signal) -> Self {
        let Self { daemon, sandbox, options } = self;
        daemon.stop_with(signal).expect("an end");
        Self::start_in(sandbox, options)
    }

    /// Starts a daemon on the files of one that has ended.
    pub(crate) fn started_again(self) -> Self {
        Self::start_in(self.sandbox, self.options)
    }

    /// Ends the daemon, does `work`, and starts a daemon on the same files.
    pub(crate) fn meanwhile(mut self, work: impl FnOnce(&Self)) -> Self {
        self.daemon.signal(Signal::SIGTERM).expect("a daemon");
        self.daemon.wait().expect("an end");
        work(&self);
        Self::start_in(self.sandbox, self.options)
    }

    /// A user with a home of that name, run as whoever runs the test.
    pub(crate) fn user(&self, name: &str) -> Client {
        Client::new(&self.sandbox, name, None, &self.daemon).expect("a home")
    }

    /// A user with a home of that name and an account.
    pub(crate) fn user_as(&self, name: &str, account: Account) -> Client {
        Client::new(&self.sandbox, name, Some(account), &self.daemon).expect("a home")
    }

    /// A user who has become the first client. Over a network nobody does for being first: there whoever owns the
    /// daemon's files says so.
    #[track_caller]
    pub(crate) fn first_client(&self) -> Client {
        let first = self.user("first");
        if self.options.via == Via::Unix {
            run(&first, &["list"]).prints(NO_INSTANCES);
            return first;
        }
        run(&first, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        let recovered = self.recover(None, &["--add-cert", &first.certificate().display().to_string()]);
        assert_eq!(recovered.code, 0, "{recovered:?}");
        self.daemon.signal(Signal::SIGHUP).expect("a daemon");
        wait_until("the daemon notices", DEADLINE, || run(&first, &["list"]).code == 0).unwrap();
        first
    }

    /// `multipassd recover` on the daemon's files, run as `account`.
    pub(crate) fn recover(&self, account: Option<&Account>, arguments: &[&str]) -> Outcome {
        let mut command = Account::command(account, &self.sandbox.path("multipassd"));
        let storage = self.daemon.data.parent().expect("a directory");
        command.arg("recover").args(arguments).env("MULTIPASS_STORAGE", storage);
        Outcome::of(&mut command, "").expect("the daemon's program runs")
    }

    /// The fingerprint of its root, as an administrator reads it.
    pub(crate) fn fingerprint(&self) -> String {
        let mut command = Command::new(self.sandbox.path("multipassd"));
        let storage = self.daemon.data.parent().expect("a directory");
        let told =
            Outcome::of(command.arg("fingerprint").env("MULTIPASS_STORAGE", storage), "").expect("it runs");
        assert_eq!(told.code, 0, "{told:?}");
        told.stdout.trim().to_owned()
    }

    pub(crate) fn trust_file(&self) -> PathBuf {
        self.daemon.data.join("authenticated-certs/multipass_client_certs.pem")
    }

    /// How many certificates are trusted.
    pub(crate) fn trusted(&self) -> usize {
        let text = fs::read(self.trust_file()).unwrap_or_default();
        String::from_utf8_lossy(&text).matches("-----BEGIN CERTIFICATE-----").count()
    }

    /// Whether this user's certificate is among the trusted ones.
    pub(crate) fn trusts(&self, user: &Client) -> bool {
        let certificate = fs::read_to_string(user.certificate()).expect("a certificate");
        fs::read_to_string(self.trust_file()).unwrap_or_default().contains(certificate.trim())
    }

    /// How many descriptors the daemon has open.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.daemon.pid());
        fs::read_dir(path).expect("the daemon's descriptors").count()
    }

    /// What the daemon has in memory just now.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most that the daemon ever had in memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    #[cfg(target_os = "linux")]
    fn memory_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.daemon.pid());
        let status = fs::read_to_string(path).expect("the daemon's status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The socket's owner, group and mode.
    pub(crate) fn socket(&self) -> (u32, u32, u32) {
        let found = fs::metadata(&self.daemon.socket).expect("the socket");
        (found.uid(), found.gid(), found.mode() & 0o7777)
    }
}

/// A file's or directory's permissions.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("a file").mode() & 0o7777
}

/// All that lies below a directory.
pub(crate) fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("its type").is_dir() {
            found.extend(below(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

#[track_caller]
pub(crate) fn run(user: &Client, arguments: &[&str]) -> Outcome {
    user.run(arguments).expect("the client runs")
}

#[track_caller]
pub(crate) fn run_with_input(user: &Client, arguments: &[&str], input: &str) -> Outcome {
    user.run_with_input(arguments, input).expect("the client runs")
}

/// Gets each command ready, lets all of them go at one moment, and waits for their ends.
pub(crate) fn at_once(commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
    let mut ready: Vec<_> = commands
        .into_iter()
        .map(|command| {
            through_shell("read _; exec \"$@\"", &command)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a shell")
        })
        .collect();
    ready.iter_mut().for_each(|child| drop(child.stdin.take()));
    ready.into_iter().map(|child| child.wait_with_output().expect("an end").into()).collect()
}

/// What a command must have done.
pub(crate) trait Expected {
    /// It succeeded, printed exactly this, and had nothing else to say but why the daemon has no instances, where it
    /// can have none.
    fn prints(&self, stdout: &str);

    /// It failed with this exit code and printed nothing; its message begins so, and has these parts.
    fn fails(&self, code: i32, beginning: &str, parts: &[&str]);
}

impl Expected for Outcome {
    #[track_caller]
    fn prints(&self, stdout: &str) {
        let stderr = if stdout == NO_INSTANCES { note_on_instances() } else { "" };
        assert_eq!(self, &Outcome { code: 0, stdout: stdout.to_owned(), stderr: stderr.to_owned() });
    }

    #[track_caller]
    fn fails(&self, code: i32, beginning: &str, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert!(self.stderr.starts_with(beginning), "no {beginning:?} at the beginning: {self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?}: {self:?}");
        }
    }
}

/// The administrators' group, for tests that act as several users. Where they cannot, that is said.
pub(crate) fn administrators() -> Option<Group> {
    if !is_root() {
        skip("needs root, to act as several users");
        return None;
    }
    let known = |name: &&str| Group::from_name(name).expect("the group database");
    let group = ["sudo", "admin", "wheel"].iter().find_map(known);
    if group.is_none() {
        skip("needs a group called sudo, admin or wheel");
    }
    group
}

/// A member of a group, by his supplementary groups.
pub(crate) fn member(uid: u32, group: &Group) -> Account {
    Account { uid, gid: uid, groups: vec![group.gid.as_raw()] }
}

/// Somebody of no group but his own.
pub(crate) fn outsider() -> Account {
    Account { uid: 65534, gid: 65534, groups: Vec::new() }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of bytes, as `sha256sum` writes it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
