//! Another user's certificate, which root gets from a program that runs with that user's rights.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::{IfMissing, add};
use crate::error::Error;
use crate::platform::{self, Account};

/// How long the user's program may take. It needs milliseconds, but the user's files may lie anywhere.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The command line of the program that is still root's, without the user's name.
const AS_ROOT: &[&str] = &["clients", "own-certificate", "--as-user"];
/// The command line of the program that is the user's.
const AS_USER: &[&str] = &["clients", "own-certificate"];
const AS_USER_EXISTING: &[&str] = &["clients", "own-certificate", "--existing"];

/// The certificate of `user` in PEM, made if there is none.
///
/// # Errors
/// This is not root, there is no such user, or the user's program failed.
pub(super) async fn certificate(user: &str) -> Result<String, Error> {
    if !platform::is_root() {
        return Err(Error::failed(
            "only root may add another user's client",
            format!("Run `sudo multipass clients add --user {user}`."),
        ));
    }
    let next =
        "Check the user's home directory; or let the user run `multipass clients add --cert`.".to_owned();
    let fails = |why: String| Error::failed(format!("no certificate of {user}: {why}"), next);
    match run_as_user(user).await {
        Ok(Some(Ok(text))) => add::only_certificate(&text)
            .map_err(|what| fails(format!("what the user's program wrote {what}"))),
        Ok(Some(Err(said))) => Err(fails(said)),
        Ok(None) => Err(Error::failed(
            format!("there is no user '{user}' on this machine"),
            "Check the name; for a client elsewhere, see `multipass clients add --help` on --cert."
                .to_owned(),
        )),
        Err(error) => Err(fails(error.to_string())),
    }
}

/// Becomes the program that is the user's; returns only why that failed.
pub(super) fn exec_as(name: &str, if_missing: IfMissing) -> Error {
    let arguments = match if_missing {
        IfMissing::MakeOne => AS_USER,
        IfMissing::PrintNothing => AS_USER_EXISTING,
    };
    let error = platform::exec_as(name, arguments);
    Error::failed(format!("cannot run this program as {name}: {error}"), None)
}

/// What the program of `user` wrote: its output, or what it said as it failed. `None` if there is no such
/// user.
async fn run_as_user(user: &str) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let Some(account) = Account::find(user)? else { return Ok(None) };
    let mut child = Command::from(account.command(AS_ROOT)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let ends = async move {
        let (output, errors) = tokio::join!(read_beginning(output), read_beginning(errors));
        Ok::<_, io::Error>((child.wait().await?, output?, errors?))
    };
    let (status, output, errors) = timeout(TIMEOUT, ends).await.unwrap_or_else(|_| {
        let why = format!("nothing was found or made within {} seconds", TIMEOUT.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })?;
    Ok(Some(match status.success() {
        true => Ok(output),
        false => Err(format!("{status}\n{}", String::from_utf8_lossy(&errors).trim_end())),
    }))
}

/// As much of a stream as is of use.
async fn read_beginning(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(add::MAX_CERTIFICATE_SIZE).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
