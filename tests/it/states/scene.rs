//! A daemon's files as it has left them, copied and spoilt for each case, and what a daemon does that finds them.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::{Account, Daemon, DaemonOptions, Sandbox, wait_until};
use nix::sys::stat::Mode;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::peer::{Identity, Peer, Place};
use crate::support::outsider;

const PASSPHRASE: &str = "open sesame";
const VICTIM: &str = "as it was\n";
/// How long a call may take before it is taken to wait for something.
const SOON: Duration = Duration::from_secs(10);
/// And how long one that is expected to wait.
const A_WHILE: Duration = Duration::from_secs(1);

/// How a file or a directory is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Absent,
    Empty,
    Torn,
    Garbage,
    Another,
    OthersMayWrite,
    Directory,
    Link,
    LinkToNothing,
    Fifo,
    /// To an ordinary user: root reads everything.
    Unreadable,
    LockedByAnother,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Empty => "empty",
            Self::Torn => "the first half of it",
            Self::Garbage => "a file of garbage",
            Self::Another => "another user's",
            Self::OthersMayWrite => "writable by others",
            Self::Directory => "a directory",
            Self::Link => "a link to something else",
            Self::LinkToNothing => "a link to nothing",
            Self::Fifo => "a FIFO",
            Self::Unreadable => "unreadable",
            Self::LockedByAnother => "locked by another",
        })
    }
}

/// A daemon's files, to begin each case with.
pub(super) struct Scene {
    runtime: Runtime,
    sandbox: Sandbox,
    account: Option<Account>,
    alice: Identity,
    /// May only read, where there are clients.
    reader: Option<Identity>,
    revoked: Identity,
    /// Whether there is a token.
    has_token: bool,
}

impl Scene {
    /// Of a daemon that nobody has called.
    pub(super) fn fresh() -> Self {
        Self::fresh_of(None)
    }

    fn fresh_of(account: Option<Account>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let scene = Self {
            runtime: runtime.expect("a runtime"),
            sandbox: Sandbox::of_this_build().expect("a sandbox"),
            account,
            alice: Identity::new(),
            reader: None,
            revoked: Identity::new(),
            has_token: false,
        };
        let home = scene.sandbox.path(TEMPLATE);
        fs::create_dir_all(home.join("run")).expect("a directory");
        if let Some(account) = &scene.account {
            chown(home.join("run"), Some(account.uid), Some(account.gid)).expect("given away");
        }
        fs::write(home.join("multipassd.toml"), "verbosity = \"info\"\n").expect("written");
        scene.start(TEMPLATE).expect("a daemon that listens").stop().expect("an end");
        scene
    }

    /// Of one with a client, and one that was revoked.
    pub(super) fn with_clients() -> Self {
        Self::with_clients_of(None, Some(Identity::new()))
    }

    /// The same, of an ordinary user's daemon.
    pub(super) fn of_an_ordinary_user() -> Self {
        Self::with_clients_of(Some(outsider()), Some(Identity::new()))
    }

    fn with_clients_of(account: Option<Account>, reader: Option<Identity>) -> Self {
        let scene = Self { reader, has_token: true, ..Self::fresh_of(account) };
        let daemon = scene.start(TEMPLATE).expect("a daemon that listens");
        scene
            .runtime
            .block_on(async {
                let mut administrator = Peer::connect(&Place::of(&daemon), None).await?;
                administrator.add(&scene.alice).await?;
                if let Some(reader) = &scene.reader {
                    administrator.add_at(reader, "read-only").await?;
                }
                // So that it was seen.
                Peer::connect(&Place::of(&daemon), Some(&scene.alice)).await?.ping().await?;
                administrator.add(&scene.revoked).await?;
                administrator.revoke(&scene.revoked).await?;
                administrator.set_passphrase(Some(PASSPHRASE)).await?;
                administrator.create_token().await?;
                // For a first line in the log of refusals.
                let stranger = Peer::connect(&Place::of(&daemon), Some(&scene.revoked)).await?.list().await;
                assert_eq!(stranger.expect_err("a refusal").code(), Code::Unauthenticated);
                Ok::<_, Status>(())
            })
            .expect("changes");
        daemon.stop().expect("an end");
        scene
    }

    /// The same, with an emptied trust file.
    pub(super) fn emptied() -> Self {
        let scene = Self::with_clients_of(None, None);
        let path = "data/authenticated-certs/multipass_client_certs.pem";
        fs::write(scene.sandbox.path(TEMPLATE).join(path), "").expect("written");
        scene
    }

    /// What comes of the file at `path` in that state.
    pub(super) fn outcome(&self, path: &str, state: State) -> String {
        const CASE: &str = "case";
        let home = self.sandbox.path(CASE);
        let copied = Command::new("cp").arg("-a").arg(self.sandbox.path(TEMPLATE)).arg(&home).status();
        assert!(copied.expect("cp").success());
        let (spoilt, victim) = (home.join(path), Victim::new(&self.sandbox));
        let lock = spoil(&spoilt, state, &victim);
        let found = match path {
            // The one lock that a daemon waits for at its start.
            "data/lock" if lock.is_some() => self.waits(CASE, lock),
            _ => match self.start(CASE) {
                Ok(daemon) => self
                    .runtime
                    .block_on(self.ask(&Place::of(&daemon), lock))
                    .unwrap_or_else(|status| format!("fails: {status}")),
                Err(error) => refusal(&home, &spoilt, state, &error.to_string()),
            },
        };
        let log = fs::read_to_string(home.join("log")).unwrap_or_default();
        assert!(!log.contains("panicked"), "{path} {state}: {log}");
        assert!(victim.is_as_it_was(), "{path} {state}: what the link led to was changed");
        fs::remove_dir_all(&home).expect("removed");
        found
    }

    fn start(&self, name: &str) -> io::Result<Daemon> {
        Daemon::start(&self.sandbox, name, &self.options(name))
    }

    fn options(&self, name: &str) -> DaemonOptions {
        let home = self.sandbox.path(name);
        DaemonOptions {
            account: self.account.clone(),
            socket: Some(home.join("run/socket")),
            arguments: vec!["--config".to_owned(), home.join("multipassd.toml").display().to_string()],
            ..DaemonOptions::default()
        }
    }

    /// A daemon that neither listens nor ends as long as somebody has the lock.
    fn waits(&self, name: &str, lock: Option<File>) -> String {
        let daemon = Daemon::spawn(&self.sandbox, name, &self.options(name)).expect("a program");
        let listens = || UnixStream::connect(&daemon.socket).is_ok();
        if wait_until("it listens", A_WHILE, listens).is_ok() {
            return "listens".to_owned();
        }
        drop(lock);
        match wait_until("it listens", SOON, listens) {
            Ok(()) => "waits".to_owned(),
            Err(error) => format!("{error}: {}", daemon.logged()),
        }
    }

    /// What a daemon that serves knows.
    async fn ask(&self, place: &Place, lock: Option<File>) -> Result<String, Status> {
        let mut administrator = Peer::connect(place, None).await?;
        let (mut trusted, tokens) = (administrator.trusted().await?, administrator.count_tokens().await?);
        let alice = trusted.contains(&self.alice.fingerprint);
        let reader = self.reader.as_ref().filter(|reader| trusted.contains(&reader.fingerprint));
        let known = [Some(&self.alice), reader].into_iter().flatten();
        let known: Vec<&String> = known.map(|client| &client.fingerprint).collect();
        trusted.retain(|client| !known.contains(&client));
        if !trusted.is_empty() {
            return Ok(format!("trusts {trusted:?}"));
        }
        let called = code(Peer::connect(place, Some(&self.alice)).await?.ping().await);
        if (called == Code::Ok) != alice {
            return Ok(format!("lists a client, or does not, and answers it {called:?}"));
        }
        if let Some(reader) = reader {
            let mut peer = Peer::connect(place, Some(reader)).await?;
            let (reads, changes) = (code(peer.list().await), code(peer.call(rpc::SERVICE, "set").await));
            if changes != Code::PermissionDenied {
                return Ok(format!("answers who may only read {reads:?} and {changes:?}"));
            }
        }
        // A caller who may be the first if the first is awaited, and otherwise nothing without the passphrase.
        let newcomer = Identity::new();
        let mut peer = Peer::connect(place, Some(&newcomer)).await?;
        let listed = code(peer.list().await);
        if listed == Code::Ok {
            return Ok("awaits the first".to_owned());
        }
        let patience = if lock.is_some() { A_WHILE } else { SOON };
        let let_in = match timeout(patience, peer.authenticate(PASSPHRASE)).await {
            Ok(answer) => code(answer),
            // Those who are trusted are served meanwhile.
            Err(_) => {
                Peer::connect(place, Some(&self.alice)).await?.list().await?;
                drop(lock);
                peer.authenticate(PASSPHRASE).await?;
                return Ok("grants later".to_owned());
            }
        };
        let now = Peer::connect(place, None).await?.trusted().await?;
        if now.contains(&newcomer.fingerprint) != (let_in == Code::Ok) {
            return Ok(format!("answers a newcomer {let_in:?} and trusts {now:?}"));
        }
        Ok(match (alice, listed, let_in) {
            (true, Code::Unauthenticated, Code::Ok) if self.reader.is_some() && reader.is_none() => {
                "no read-only clients"
            }
            (true, Code::Unauthenticated, Code::Ok) if tokens != usize::from(self.has_token) => "no tokens",
            (true, Code::Unauthenticated, Code::Ok) => "serves",
            (false, Code::Unauthenticated, Code::Ok) => "trusts nobody",
            (true, Code::Unauthenticated, Code::FailedPrecondition) => "no passphrase",
            (true, Code::Unauthenticated, Code::Internal) | (false, Code::Internal, _) => "no grants",
            other => return Ok(format!("serves otherwise: {other:?}")),
        }
        .to_owned())
    }
}

const TEMPLATE: &str = "template";

fn code(result: Result<(), Status>) -> Code {
    result.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// A daemon that ended: with exit code 1, and a message that names what is spoilt.
fn refusal(home: &Path, spoilt: &Path, state: State, error: &str) -> String {
    let log = fs::read_to_string(home.join("log")).unwrap_or_default();
    let message = log.split_once("ERROR").map_or("", |(_, message)| message);
    // What somebody else uses is not the lock, but what it is for.
    let what = match state {
        State::LockedByAnother if spoilt.ends_with("data/daemon.lock") => home.join("data"),
        State::LockedByAnother => spoilt.with_extension(""),
        _ => spoilt.to_owned(),
    };
    let named = message.contains(&what.display().to_string());
    match (error.contains("ended: Some(ExitStatus(unix_wait_status(256)))"), named) {
        (true, true) => "refuses".to_owned(),
        _ => format!("{error} (named: {named})"),
    }
}

/// Spoils it; what is returned holds the lock, if somebody is to have it.
fn spoil(path: &Path, state: State, victim: &Victim) -> Option<File> {
    let was_directory = path.is_dir();
    match state {
        State::Another => another(path),
        State::OthersMayWrite => set_mode(path, if was_directory { 0o777 } else { 0o666 }),
        State::Unreadable => set_mode(path, 0),
        State::Torn => {
            let file = OpenOptions::new().write(true).open(path).expect("a file");
            let length = file.metadata().expect("its length").len();
            file.set_len(length / 2).expect("cut");
        }
        State::LockedByAnother => {
            let file = OpenOptions::new().write(true).open(path).expect("a file");
            file.lock().expect("locked");
            return Some(file);
        }
        _ => put_in_its_place(path, state, victim),
    }
    None
}

fn put_in_its_place(path: &Path, state: State, victim: &Victim) {
    let was_directory = path.is_dir();
    if was_directory {
        fs::remove_dir_all(path).expect("removed");
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).expect("removed");
    }
    match state {
        State::Empty => drop(File::create(path).expect("made")),
        State::Garbage => fs::write(path, b"\x00\xff garbage = [\n").expect("written"),
        State::Directory => fs::create_dir(path).expect("made"),
        State::Link if was_directory => symlink(&victim.directory, path).expect("linked"),
        State::Link => symlink(&victim.file, path).expect("linked"),
        State::LinkToNothing => symlink(victim.directory.join("nothing"), path).expect("linked"),
        State::Fifo => nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("made"),
        _ => {}
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
}

/// Gives it to another user; where nothing is, an empty file of theirs.
fn another(path: &Path) {
    if path.symlink_metadata().is_err() {
        File::create(path).expect("made");
    }
    let account = outsider();
    chown(path, Some(account.uid), Some(account.gid)).expect("given away");
}

/// What a link leads to, and nobody may change.
struct Victim {
    directory: PathBuf,
    file: PathBuf,
}

impl Victim {
    fn new(sandbox: &Sandbox) -> Self {
        let (directory, file) = (sandbox.path("victims"), sandbox.path("victim"));
        fs::create_dir_all(&directory).expect("made");
        fs::write(&file, VICTIM).expect("written");
        set_mode(&file, 0o640);
        set_mode(&directory, 0o750);
        Self { directory, file }
    }

    fn is_as_it_was(&self) -> bool {
        let mode = |path: &Path| fs::metadata(path).expect("its mode").permissions().mode() & 0o7777;
        fs::read_to_string(&self.file).expect("text") == VICTIM
            && fs::read_dir(&self.directory).expect("a directory").count() == 0
            && (mode(&self.file), mode(&self.directory)) == (0o640, 0o750)
    }
}
