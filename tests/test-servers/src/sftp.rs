//! OpenSSH's own `sftp-server`, run as a child.

use std::path::Path;
use std::process::Stdio;

use test_process::skip;
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::process::{Child, Command};

const SERVER: &str = "/usr/lib/openssh/sftp-server";

/// A stream that leads to a server at home in `folder`, and the server, which ends when it is dropped. Where there is
/// none, it says that the test is skipped.
///
/// # Panics
/// The server does not start.
#[must_use]
pub fn sftp(folder: &Path) -> Option<(impl AsyncRead + AsyncWrite + use<>, Child)> {
    if !Path::new(SERVER).exists() {
        skip("needs OpenSSH's sftp-server");
        return None;
    }
    let mut child = Command::new(SERVER)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server should start");
    let stream = join(child.stdout.take().expect("its output"), child.stdin.take().expect("its input"));
    Some((stream, child))
}
