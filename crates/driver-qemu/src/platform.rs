//! Processes that we may not be the parent of: whether one is a machine's QEMU still, and how it is killed.
//!
//! Numbers of processes are used again. A machine's QEMU is known by the machine's id among its arguments.

use instances::InstanceId;

#[cfg(target_os = "linux")]
pub(crate) use linux::{kill, machines, runs};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::unistd::geteuid;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::InstanceId;
    use crate::account::Account;
    use crate::arguments::{FIRST_OPTION, directory_in};

    /// The id is near the beginning; a stranger's process may have any number of arguments.
    const ARGUMENTS: u64 = 16 * 1024;

    /// `PF_EXITING` of the kernel's `include/linux/sched.h`: it is on its way to its end.
    const EXITING: u64 = 0x4;

    /// Whether the process runs and is the machine's QEMU, or may be it while it ends.
    pub(crate) fn runs(process: i32, id: InstanceId) -> bool {
        let arguments = arguments(process);
        let id = id.to_string();
        arguments.split(|&byte| byte == 0).any(|argument| argument == id.as_bytes())
            || arguments.is_empty() && ends(process)
    }

    /// Whether the process is ending and has not ended: its memory, and its arguments with it, go before the
    /// locks on its disk do.
    fn ends(process: i32) -> bool {
        // Opened first: from then on it cannot become another process unnoticed.
        let Some(opened) = open(process) else { return false };
        let exiting = flags(process).is_some_and(|flags| flags & EXITING != 0);
        let mut ended = [PollFd::new(&opened, PollFlags::IN)];
        exiting && poll(&mut ended, Some(&Timespec::default())).is_ok_and(|ended| ended == 0)
    }

    fn open(process: i32) -> Option<OwnedFd> {
        let process = (process > 0).then(|| Pid::from_raw(process)).flatten()?;
        pidfd_open(process, PidfdFlags::empty()).ok()
    }

    /// What the kernel notes of a process: the ninth field of `/proc/<process>/stat`, the seventh after its name,
    /// which may hold anything.
    fn flags(process: i32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(6)?.parse().ok()
    }

    /// The machines made below `root` whose QEMU runs as the user that it would run as here, with their processes.
    pub(crate) fn machines(root: &Path) -> Vec<(i32, InstanceId)> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let machine = |entry: fs::DirEntry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let arguments = arguments(process);
            let mut arguments =
                arguments.split(|&byte| byte == 0).skip_while(|argument| *argument != b"-uuid");
            let id: InstanceId = std::str::from_utf8(arguments.nth(1)?).ok()?.parse().ok()?;
            (arguments.next()? == FIRST_OPTION.as_bytes()).then_some(())?;
            // Another daemon's are none of ours.
            arguments.find_map(directory_in).filter(|directory| directory.starts_with(root))?;
            let user = Account::of(id, None).map_or_else(|| geteuid().as_raw(), |account| account.uid);
            (entry.metadata().ok()?.uid() == user).then_some((process, id))
        };
        processes.filter_map(machine).collect()
    }

    fn arguments(process: i32) -> Vec<u8> {
        let mut arguments = Vec::new();
        let file = File::open(format!("/proc/{process}/cmdline"));
        // A process that has ended meanwhile has none.
        let _ = file.and_then(|file| file.take(ARGUMENTS).read_to_end(&mut arguments));
        arguments
    }

    /// Kills the process, if it is the machine's QEMU.
    pub(crate) fn kill(process: i32, id: InstanceId) {
        // Once opened, it stands for this very process, whatever becomes of the number.
        let Some(opened) = open(process) else { return };
        if runs(process, id)
            && let Err(error) = pidfd_send_signal(&opened, Signal::KILL)
        {
            tracing::warn!(process, %error, "QEMU cannot be killed");
        }
    }
}

/// The machines whose QEMU runs: it cannot be told here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn machines(_: &std::path::Path) -> Vec<(i32, InstanceId)> {
    Vec::new()
}

/// Whether the process runs. Whose it is cannot be told here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn runs(process: i32, _: InstanceId) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None).is_ok()
}

/// Kills the process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill(process: i32, _: InstanceId) {
    let killed =
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL);
    if let Err(error) = killed {
        tracing::warn!(process, %error, "QEMU cannot be killed");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_is_the_machines_by_its_id_alone() {
        let (id, other) = (InstanceId::random(), InstanceId::random());
        let mut child = Command::new("sh")
            .args(["-c", "read line", "sh", "-uuid", &id.to_string()])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = i32::try_from(child.id()).unwrap();
        // For a moment it is neither what it was nor what it becomes.
        e2e::wait_until("it runs", Duration::from_secs(10), || runs(process, id)).unwrap();
        assert!(!runs(process, other));
        kill(process, other);
        assert!(runs(process, id));
        kill(process, id);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!runs(process, id));
        // There is no such process; nor may one become all of them.
        for process in [process, 0, -1] {
            kill(process, id);
        }
    }

    #[test]
    fn a_process_runs_until_it_has_let_go_of_its_files() {
        let (id, file) = (InstanceId::random(), tempfile::tempfile().unwrap());
        file.lock().unwrap();
        // Much memory takes the kernel long to free, between the arguments and the files.
        let script = "much=$(head -c 100000000 /dev/zero | tr '\\0' x); echo; read line";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", "-uuid", &id.to_string()])
            .stderr(file.try_clone().unwrap())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let again = File::options().read(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        drop(file);
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        assert!(again.try_lock().is_err(), "it holds the lock");
        let process = i32::try_from(child.id()).unwrap();
        kill(process, id);
        // With pauses: a look under way would free the memory itself, and the process be quicker than that.
        while runs(process, id) {
            std::thread::sleep(Duration::from_millis(1));
        }
        again.try_lock().unwrap();
        child.wait().unwrap();
    }
}
