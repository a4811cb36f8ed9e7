//! Starts QEMU's process: on descriptors that we opened, as the machine's user, in a session of its own, so that
//! neither the daemon's end nor its terminal reaches it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use command_fds::CommandFdExt;
use instances::Machine;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

use crate::accelerator::Accelerator;
use crate::account::Account;
use crate::arguments::{Begin, Descriptors, arguments};
use crate::files::{self, Files, QMP_SOCKET, SERIAL_SOCKET};
use crate::programs::Programs;
use crate::qmp::printable;
use crate::{qemu_img, sockets};

/// No core dumps, for the guest's memory is in them. The shell becomes QEMU: its process is written into the
/// file before there can be a QEMU that is not in it, and there is none if that fails.
const BECOME_QEMU: &str = "ulimit -c 0; echo $$ && exec \"$@\" >/dev/null";

/// As many threads as the machine's own user may have, beside one for each CPU: QEMU has some for its own work, and up
/// to 64 for disks.
const THREADS: u32 = 512;

/// What QEMU says of itself is kept so far, in bytes.
const SAID: usize = 4096;

/// Starts it. *Blocking*, in a runtime.
///
/// # Errors
/// A file of the machine cannot be opened, or there can be no process.
pub(crate) fn launch(
    programs: &Programs,
    machine: &Machine,
    accelerator: Accelerator,
    begin: Begin<'_>,
) -> io::Result<Child> {
    let files = Files::new(&machine.directory);
    files.clear_run()?;
    let disk = qemu_img::open(&files.disk())?;
    let image = OpenOptions::new().read(true).open(&machine.image.path)?;
    let seed = files::own(OpenOptions::new().read(true)).open(files.seed())?;
    let qmp = sockets::listen(files.directory(), QMP_SOCKET)?;
    let serial = sockets::listen(files.directory(), SERIAL_SOCKET)?;
    let process = files.new_pid()?;

    let descriptors = Descriptors {
        disk: disk.as_raw_fd(),
        image: image.as_raw_fd(),
        seed: seed.as_raw_fd(),
        qmp: qmp.as_raw_fd(),
        serial: serial.as_raw_fd(),
    };
    let inherited: Vec<OwnedFd> = vec![disk.into(), image.into(), seed.into(), qmp.into(), serial.into()];

    let account = Account::of(machine.id, accelerator.group());
    // Where it is our own user, who has other programs, too, these would count.
    let limit = match account {
        Some(_) => limit_threads(THREADS + machine.spec.cpus.get()),
        None => String::new(),
    };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{limit}{BECOME_QEMU}"), "sh"]);
    if cfg!(target_os = "linux") {
        command.arg("setsid");
    } else {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    command
        .arg(&programs.qemu)
        .args(arguments(machine, accelerator, begin, descriptors))
        .preserved_fds(inherited)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(process)
        .stderr(Stdio::piped());
    become_account(&mut command, account);
    tokio::process::Command::from(command).spawn()
}

/// For the shell, whose option is called otherwise from one to the other. A lower limit stays.
fn limit_threads(threads: u32) -> String {
    format!("{{ ulimit -u {threads} || ulimit -p {threads}; }} 2>/dev/null; ")
}

/// Has a program run as another user, without any further groups.
pub(crate) fn become_account(command: &mut Command, account: Option<Account>) {
    use std::os::unix::process::CommandExt;
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

/// The beginning of what a process says, for people. It reads until the process says no more, so that the
/// process never waits for us.
pub(crate) async fn said(mut process: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 512];
    while let Ok(length @ 1..) = process.read(&mut chunk).await {
        let room = SAID - kept.len();
        kept.extend(chunk.iter().take(length.min(room)));
    }
    printable(&String::from_utf8_lossy(&kept))
}
