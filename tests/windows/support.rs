//! A daemon with files of its own, and users of it: each has a directory for local data, as users of Windows do.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use tempfile::TempDir;
use win32::access::{self, Operation, TrustPolicy};

/// How long the daemon may take for whatever it does by itself.
const DEADLINE: Duration = Duration::from_secs(60);

/// A place for one test, with the programs in it: where they were built, other users may be able to replace them.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        // Tests run from target/<triple>/<profile>/deps.
        let test = env::current_exe().expect("this program");
        let built = test.ancestors().nth(2).expect("a target directory");
        for program in ["multipass.exe", "multipassd.exe"] {
            fs::copy(built.join(program), place.path(program)).expect("built, as by 'cargo build --bins'");
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A daemon's or client's command, in the place and as the user `name`.
    pub(crate) fn command(&self, program: &str, name: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.env("LOCALAPPDATA", self.path(name)).current_dir(self.0.path());
        for variable in ["MULTIPASS_SERVER_ADDRESS", "MULTIPASS_ROOT_CERT", "MULTIPASS_FINGERPRINT"] {
            command.env_remove(variable);
        }
        command
    }

    /// A client's command, of the daemon that listens on `port` and has its root certificate in the place.
    pub(crate) fn client(&self, name: &str, port: u16) -> Command {
        let mut command = self.command("multipass.exe", name);
        command
            .env("MULTIPASS_SERVER_ADDRESS", format!("localhost:{port}"))
            .env("MULTIPASS_ROOT_CERT", self.path("root.pem"));
        command
    }
}

/// A port on which nothing listens just now.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    free.local_addr().expect("its number").port()
}

/// A running daemon, killed when it is dropped.
pub(crate) struct Service {
    pub(crate) place: Place,
    port: u16,
    process: Child,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_in(Place::new(), free_port())
    }

    fn start_in(place: Place, port: u16) -> Self {
        let log = place.path("log");
        let output = File::create(&log).expect("a log");
        let mut command = Self::daemon(&place);
        command.arg(format!("--address=localhost:{port}")).arg("--root-cert").arg(place.path("root.pem"));
        let process = command.stdin(Stdio::null()).stderr(output).spawn().expect("it runs");
        let mut service = Self { place, port, process };
        wait_until("the daemon listens", || {
            let logged = fs::read_to_string(&log).unwrap_or_default();
            assert!(service.process.try_wait().expect("a status").is_none(), "it has ended: {logged}");
            logged.contains("listening on ")
        });
        service
    }

    fn daemon(place: &Place) -> Command {
        let mut command = place.command("multipassd.exe", "service");
        command.env("MULTIPASS_STORAGE", place.path("service"));
        command
    }

    /// Kills the daemon, and starts one on the same files.
    pub(crate) fn restart(self) -> Self {
        let port = self.port;
        Self::start_in(self.end(), port)
    }

    fn end(mut self) -> Place {
        self.process.kill().expect("it ran");
        self.process.wait().expect("it ends");
        // What is left of this value has nothing more to do.
        std::mem::replace(&mut self.place, Place(tempfile::tempdir().expect("a directory")))
    }

    /// A client's command, run as the user `name` with this input.
    pub(crate) fn run_with_input(&self, name: &str, arguments: &[&str], input: &str) -> Outcome {
        Outcome::of(self.place.client(name, self.port).args(arguments), input)
    }

    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Outcome {
        self.run_with_input(name, arguments, "")
    }

    /// Another command of the daemon's program on the same files, run as the user `name`.
    pub(crate) fn administer(&self, name: &str, arguments: &[&str]) -> Outcome {
        let mut command = Self::daemon(&self.place);
        Outcome::of(command.env("LOCALAPPDATA", self.place.path(name)).args(arguments), "")
    }

    /// A second daemon at the same address, which has to end.
    pub(crate) fn rival(&self) -> Outcome {
        let mut command = self.place.command("multipassd.exe", "rival");
        command
            .env("MULTIPASS_STORAGE", self.place.path("rival"))
            .arg(format!("--address=localhost:{}", self.port))
            .arg("--root-cert")
            .arg(self.place.path("rival.pem"));
        Outcome::of(&mut command, "")
    }

    /// The directory of a user's certificate and key.
    pub(crate) fn identity(&self, name: &str) -> PathBuf {
        self.place.path(name).join("multipass-client-certificate")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place.path("service").join("data")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("it runs");
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read its input closes the pipe, which is no fault.
            let _ = io::Write::write_all(&mut pipe, input.as_bytes());
        }
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// That it succeeded, and wrote this alone.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) {
        assert_eq!((self.code, &*self.stdout, &*self.stderr), (Some(0), text, ""));
    }

    /// That it succeeded, and wrote this to standard output. A daemon without a driver tells on standard error that it
    /// can have no instances.
    #[track_caller]
    pub(crate) fn answers(&self, text: &str) {
        assert_eq!((self.code, &*self.stdout), (Some(0), text), "{self:?}");
    }

    /// That it ended with that code, and wrote all of these to standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, &*self.stdout), (Some(code), ""), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?}: {self:?}");
        }
    }
}

/// Polls until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Somebody else who may do that to what is there.
#[track_caller]
pub(crate) fn untrusted_principal(operation: Operation, path: &Path) -> Option<String> {
    let file = access::look_at(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = access::untrusted_principal(operation, &file, TrustPolicy::WithCaller);
    found.expect("the system tells").map(|principal| principal.name)
}
