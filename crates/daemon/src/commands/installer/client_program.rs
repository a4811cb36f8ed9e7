//! A user's certificate, as the client `multipass` finds or makes it with that user's rights.
//!
//! It is started as root, and gives root's rights up by itself: there is one place that does so, the client's.
//! What it writes is the user's word, and may be anything.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use auth_core::{CertificateError, ClientCertificate};
use durable::private;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::user::InstallingUser;

/// Where the client is looked for that does not lie beside the daemon: directories that are root's.
#[cfg(unix)]
const USUAL_PLACES: [&str; 2] = ["/usr/local/bin", "/usr/bin"];
#[cfg(not(unix))]
const USUAL_PLACES: [&str; 0] = [];
/// How long it may take. It needs milliseconds, but the user's files may lie anywhere.
const DEADLINE: Duration = Duration::from_secs(30);
/// The most that is read of what it writes, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;
/// The most of its message that is shown, in characters.
const MAX_MESSAGE: usize = 1000;

/// What becomes of a user who has no client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingCertificate {
    /// One is made.
    Create,
    /// There is none then.
    Leave,
}

/// Why there is no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientProgramError {
    /// There is no client to ask.
    #[error(
        "the client 'multipass' is not beside this program, nor in a directory for programs; install it first"
    )]
    NoProgram,
    /// Others could have put something else in its place.
    #[error("{path} cannot be run as root")]
    NotOurs {
        /// The program.
        path: PathBuf,
        /// Who could.
        source: io::Error,
    },
    /// It could not be run.
    #[error("cannot run {path}")]
    Run {
        /// The program.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It takes too long.
    #[error("nothing was found or made within {} seconds; check the user's home directory", DEADLINE.as_secs())]
    TimedOut,
    /// It failed.
    #[error("the user's program ended with {status}; check the user's home directory. It said: {said}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said, fit to be shown.
        said: String,
    },
    /// It wrote no certificate.
    #[error("the user's program wrote no certificate")]
    NoCertificate,
    /// What it wrote is no certificate.
    #[error("what the user's program wrote is no certificate")]
    Certificate(#[source] CertificateError),
}

/// The certificate of `user`, if there is one or one is made. *Blocking*.
pub(super) fn certificate(
    user: &InstallingUser,
    missing: MissingCertificate,
) -> Result<Option<ClientCertificate>, ClientProgramError> {
    let path = find()?;
    let fails = |source| ClientProgramError::Run { path: path.clone(), source };
    let mut command = Command::new(&path);
    command.args(["clients", "own-certificate"]);
    if missing == MissingCertificate::Leave {
        command.arg("--existing");
    }
    // Elsewhere this process is the user's already.
    if cfg!(unix) {
        command.arg(format!("--as-user={}", user.name())).env_clear().current_dir("/");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fails)?;
    let written = runtime.block_on(output_of(command, fails))?;
    match written.trim_ascii() {
        [] => Ok(None),
        text => ClientCertificate::from_pem(text).map(Some).map_err(ClientProgramError::Certificate),
    }
}

/// The client: the one beside this program, else the one in a usual place.
fn find() -> Result<PathBuf, ClientProgramError> {
    let name = format!("multipass{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(|program| program.parent()).map(|directory| directory.join(&name));
    let usual = USUAL_PLACES.into_iter().map(|directory| PathBuf::from(directory).join(&name));
    let path = beside.into_iter().chain(usual).find(|path| path.is_file());
    let path = path.ok_or(ClientProgramError::NoProgram)?;
    match private::beyond_others(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(ClientProgramError::NotOurs { path, source }),
    }
}

/// What a program writes, in bounded time and length.
async fn output_of(
    mut command: Command,
    fails: impl Fn(io::Error) -> ClientProgramError,
) -> Result<Vec<u8>, ClientProgramError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(&fails)?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let ends = async {
        let (output, errors) = tokio::join!(beginning(output), beginning(errors));
        Ok::<_, io::Error>((child.wait().await?, output?, errors?))
    };
    let ended = timeout(DEADLINE, ends).await.map_err(|_| ClientProgramError::TimedOut)?;
    let (status, output, errors) = ended.map_err(&fails)?;
    if status.success() {
        return Ok(output);
    }
    Err(ClientProgramError::Failed { status, said: one_line(&errors) })
}

/// As much of a stream as is of use.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MAX_OUTPUT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// A message on one line, with nothing in it that drives a terminal or turns the direction of writing.
fn one_line(message: &[u8]) -> String {
    let plain = |character: char| if character.is_ascii_graphic() { character } else { ' ' };
    let text: String = String::from_utf8_lossy(message).chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_users_program_says_is_shown_without_what_drives_a_terminal() {
        for (said, expected) in [
            ("list failed:\n  no home\n", "list failed: no home"),
            ("\u{1b}[31mred\u{1b}[0m \u{202e}back\u{7f}\u{9b}1m", "[31mred [0m back 1m"),
            ("", ""),
        ] {
            assert_eq!(one_line(said.as_bytes()), expected);
        }
        assert_eq!(one_line(&[b'x'; 5000]).len(), MAX_MESSAGE);
        assert_eq!(one_line(b"\xff\xfe"), "");
    }
}

#[cfg(unix)]
#[cfg(test)]
mod unix_tests {
    use super::*;

    #[derive(PartialEq)]
    enum Clock {
        Running,
        /// What is waited for is over its time at once.
        Paused,
    }

    /// Runs a script.
    fn run(script: &str, clock: Clock) -> Result<Vec<u8>, ClientProgramError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let fails = |source| ClientProgramError::Run { path: "sh".into(), source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(clock == Clock::Paused)
            .build();
        runtime.unwrap().block_on(output_of(command, fails))
    }

    #[test]
    fn what_a_program_writes_is_read_in_bounds() {
        assert_eq!(run("echo yes; echo no >&2", Clock::Running).unwrap(), b"yes\n");
        match run("echo because >&2; exit 3", Clock::Running) {
            Err(ClientProgramError::Failed { status, said }) => {
                assert_eq!((status.code(), said.as_str()), (Some(3), "because"));
            }
            other => panic!("{other:?}"),
        }
        // Nobody reads on.
        let endless = run("exec cat /dev/zero", Clock::Running);
        assert!(matches!(endless, Err(ClientProgramError::Failed { .. })), "{endless:?}");
        let silent = run("exec sleep 1000", Clock::Paused);
        assert!(matches!(silent, Err(ClientProgramError::TimedOut)), "{silent:?}");
    }
}
