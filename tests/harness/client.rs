//! A user with a `multipass` of their own.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::{Account, Daemon, Sandbox};

/// A client: one home directory, and so one identity.
#[derive(Clone, Debug)]
pub struct Client {
    account: Option<Account>,
    program: PathBuf,
    address: String,
    /// None on another machine, where that file is not.
    root_certificate: Option<PathBuf>,
    /// Its home directory.
    pub home: PathBuf,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code; 128 and the signal's number if a signal ended it, as shells say.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Client {
    /// A client of `daemon` with a fresh home, run as `account` or as whoever runs the test.
    ///
    /// # Errors
    /// The home directory cannot be made.
    pub fn new(sandbox: &Sandbox, name: &str, account: Option<Account>, daemon: &Daemon) -> io::Result<Self> {
        let client = Self::elsewhere(sandbox, name, daemon.address())?;
        if let Some(account) = &account {
            std::os::unix::fs::chown(&client.home, Some(account.uid), Some(account.gid))?;
        }
        Ok(Self { account, root_certificate: Some(daemon.root_certificate.clone()), ..client })
    }

    /// A client with a fresh home on another machine, from where the service has this address.
    ///
    /// # Errors
    /// The home directory cannot be made.
    pub fn elsewhere(sandbox: &Sandbox, name: &str, address: &str) -> io::Result<Self> {
        let home = sandbox.path(name);
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            account: None,
            program: sandbox.path("multipass"),
            address: address.to_owned(),
            root_certificate: None,
            home,
        })
    }

    /// The same user, who finds the daemon at another address; at the default one or by a remote, if that is empty.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// The list of the servers on other machines that it knows.
    #[must_use]
    pub fn known_servers(&self) -> PathBuf {
        self.home.join(".local/share/multipass-client/known_servers")
    }

    /// The file with its remotes.
    #[must_use]
    pub fn remotes(&self) -> PathBuf {
        self.known_servers().with_file_name("remotes")
    }

    /// The directory of its certificate and key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.home.join(".local/share/multipass-client-certificate")
    }

    /// Its certificate's file, which the first command that needs it makes.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.identity().join("multipass_cert.pem")
    }

    /// Its private key's file.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.identity().join("multipass_cert_key.pem")
    }

    /// The command, to be adapted and run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Account::command(self.account.as_ref(), &self.program);
        command
            .args(arguments)
            .current_dir("/")
            .env("HOME", &self.home)
            .env("MULTIPASS_SERVER_ADDRESS", &self.address)
            .env_remove("MULTIPASS_REMOTE")
            .env_remove("MULTIPASS_ROOT_CERT")
            .env_remove("MULTIPASS_FINGERPRINT")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME");
        if let Some(root) = &self.root_certificate {
            command.env("MULTIPASS_ROOT_CERT", root);
        }
        command
    }

    /// Runs `multipass` with no input.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn run(&self, arguments: &[&str]) -> io::Result<Outcome> {
        self.run_with_input(arguments, "")
    }

    /// Runs `multipass` with `input` piped to it.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> io::Result<Outcome> {
        Outcome::of(&mut self.command(arguments), input)
    }
}

impl Outcome {
    /// Runs a command to its end with `input` piped to it.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn of(command: &mut Command, input: &str) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read its input closes the pipe, which is no fault.
            let _ = pipe.write_all(input.as_bytes());
        }
        child.wait_with_output().map(Self::from)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Self {
            code: output.status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
