//! The programs on a root file system with nothing else in it: no library, no shell, no `/proc`, no `/dev`, no user
//! database. A daemon takes its first client there, and lets in one with the passphrase.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Sandbox, is_root, wait_until};

/// How long the daemon may take to listen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs both; the inner `Err` says why they cannot be here.
///
/// # Errors
/// They do not do there what they do elsewhere.
pub(super) fn run(binaries: &Path) -> anyhow::Result<Result<(), String>> {
    if !is_root() {
        return Ok(Err("programs on an empty root file system: needs root, for chroot".to_owned()));
    }
    let root = Sandbox::new(binaries).context("no root file system")?;
    let mut service = inside(&root, "/multipassd");
    service
        .args(["--address", "unix:/socket", "--root-cert", "/root.pem"])
        .env("MULTIPASS_STORAGE", "/storage");
    service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let service = Service(service.spawn().context("chroot does not run")?);
    let socket = root.path("socket");
    wait_until("the daemon listens in an empty root file system", DEADLINE, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    })?;
    let client = |home: &str, arguments: &[&str]| {
        let mut client = inside(&root, "/multipass");
        client.args(arguments).env("HOME", home).env("MULTIPASS_SERVER_ADDRESS", "unix:/socket");
        client
            .env("MULTIPASS_ROOT_CERT", "/root.pem")
            .stdin(Stdio::null())
            .output()
            .context("chroot does not run")
    };
    let first = client("/first", &["list"])?;
    ensure!(first.status.success(), "the first client there: {}", said(&first));
    let set = client("/first", &["set", "local.passphrase=open sesame"])?;
    ensure!(set.status.success(), "setting the passphrase there: {}", said(&set));
    let stranger = client("/second", &["list"])?;
    ensure!(stranger.status.code() == Some(2), "a stranger there: {}", said(&stranger));
    let authenticated = client("/second", &["authenticate", "open sesame"])?;
    ensure!(authenticated.status.success(), "authenticating there: {}", said(&authenticated));
    let second = client("/second", &["list"])?;
    ensure!(second.status.success(), "the second client there: {}", said(&second));
    drop(service);
    Ok(Ok(()))
}

/// A program in the root file system, with an environment as empty as that.
fn inside(root: &Sandbox, program: &str) -> Command {
    let mut chroot = Command::new("chroot");
    chroot.arg(root.path("")).arg(program).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        chroot.env("PATH", path);
    }
    chroot
}

fn said(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    format!("{}: {}", output.status, streams.concat().trim())
}

/// The daemon, ended at the end.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
