//! `qemu-img`, which makes and changes disks.
//!
//! What is in a disk may be a guest's doing, so it runs as the machine's user, with limits and a deadline, and
//! is handed the disk as a descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use command_fds::CommandFdExt;
use tokio::io::AsyncReadExt;

use crate::account::Account;
use crate::error::with_what_helps;
use crate::files;
use crate::qmp::printable;

/// No core dumps; a minute of processor time; 2 GiB of address space, where the system can limit that.
const LIMITED: &str = "ulimit -c 0; ulimit -t 60; ulimit -v 2097152 2>/dev/null; exec \"$@\"";
const WITHIN: Duration = Duration::from_secs(120);
/// So much of what it says is read.
const SAID: u64 = 4096;

/// Runs `qemu-img` on a disk; `arguments` are told how the disk is named there.
///
/// # Errors
/// It fails; then the error is what it says.
pub(crate) async fn run(
    program: &Path,
    account: Option<Account>,
    disk: File,
    arguments: impl FnOnce(&OsStr) -> Vec<OsString>,
) -> io::Result<()> {
    let name = format!("/dev/fd/{}", disk.as_raw_fd());
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LIMITED, "sh"])
        .arg(program)
        .args(arguments(OsStr::new(&name)))
        .preserved_fds(vec![disk.into()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    crate::launch::become_account(&mut command, account);
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut said = Vec::new();
    let stderr = child.stderr.take();
    let finish = async {
        if let Some(stderr) = stderr {
            stderr.take(SAID).read_to_end(&mut said).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(WITHIN, finish).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("qemu-img took longer than {} s", WITHIN.as_secs()))
    })??;
    if status.success() {
        return Ok(());
    }
    let said = printable(&String::from_utf8_lossy(&said));
    let full = said.contains("No space left on device");
    let kind = if full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, with_what_helps(format!("qemu-img ended with {status}: {said}"))))
}

/// A disk without the image that its header says it is based on: that is not needed for what is done here, and
/// what the header says may be a guest's doing.
pub(crate) fn alone(disk: &OsStr) -> OsString {
    let file = serde_json::json!({ "driver": "file", "filename": disk.to_string_lossy() });
    let disk = serde_json::json!({ "driver": "qcow2", "backing": null, "file": file });
    format!("json:{disk}").into()
}

/// Opens a machine's disk to be changed.
pub(crate) fn open(disk: &Path) -> io::Result<File> {
    files::own(OpenOptions::new().read(true).write(true)).open(disk)
}
