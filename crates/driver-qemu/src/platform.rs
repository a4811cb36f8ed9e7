//! Processes that we may not be the parent of: whether one is a machine's QEMU still, and how it is killed.
//!
//! Numbers of processes are used again. A machine's QEMU is known by the machine's id among its arguments, and by its
//! user: anybody may start a program with such arguments.

use instances::InstanceId;

#[cfg(target_os = "linux")]
pub(crate) use linux::{kill, machines, runs};

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{kill, machines, runs};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::InstanceId;
    use crate::account::user_of;
    use crate::arguments::{directory_in, machine_in};

    /// The id is near the beginning; a stranger's process may have any number of arguments.
    const ARGUMENTS: u64 = 16 * 1024;

    /// `PF_EXITING` of the kernel's `include/linux/sched.h`: it is on its way to its end.
    const EXITING: u64 = 0x4;

    /// Whether the process runs and is the machine's QEMU, or may be it while it ends.
    pub(crate) fn runs(process: i32, id: InstanceId) -> bool {
        let arguments = arguments(process);
        let is_its = machine_in(words(&arguments)) == Some(id) || arguments.is_empty() && ends(process);
        is_its && is_of_user(process, id)
    }

    fn words(arguments: &[u8]) -> impl Iterator<Item = &[u8]> {
        arguments.split(|&byte| byte == 0)
    }

    /// Whether the process has the user that the machine's QEMU has here.
    fn is_of_user(process: i32, id: InstanceId) -> bool {
        fs::metadata(format!("/proc/{process}")).is_ok_and(|process| process.uid() == user_of(id))
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
        let of_machine = |entry: fs::DirEntry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let arguments = arguments(process);
            let id = machine_in(words(&arguments))?;
            let directory = words(&arguments).find_map(directory_in)?;
            // Another daemon's are none of ours.
            (directory.starts_with(root) && is_of_user(process, id)).then_some((process, id))
        };
        processes.filter_map(of_machine).collect()
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

/// Where there is no `/proc`. What it cannot do is hold on to a process: between the look at one and its end it may
/// have become another's.
#[cfg(any(test, not(target_os = "linux")))]
mod elsewhere {
    use std::path::Path;

    use nix::sys::signal::Signal;
    use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

    use super::InstanceId;
    use crate::account::user_of;
    use crate::arguments::{directory_in, machine_in};

    /// Whether the process runs and is the machine's QEMU.
    pub(crate) fn runs(process: i32, id: InstanceId) -> bool {
        // Zero and less are none, but several.
        let Some(process) = u32::try_from(process).ok().filter(|&process| process > 0) else { return false };
        let process = Pid::from_u32(process);
        let Some(system) = look_at(ProcessesToUpdate::Some(&[process])) else { return false };
        system.process(process).and_then(machine) == Some(id)
    }

    /// The machines made below `root` whose QEMU runs as the user that it would run as here, with their processes.
    pub(crate) fn machines(root: &Path) -> Vec<(i32, InstanceId)> {
        let Some(system) = look_at(ProcessesToUpdate::All) else { return Vec::new() };
        let of_machine = |(number, process): (&Pid, &Process)| {
            // Another daemon's are none of ours.
            words(process).find_map(directory_in).filter(|directory| directory.starts_with(root))?;
            Some((i32::try_from(number.as_u32()).ok()?, machine(process)?))
        };
        system.processes().iter().filter_map(of_machine).collect()
    }

    /// The machine that the process runs, if it is a QEMU of this driver, and has the machine's user.
    fn machine(process: &Process) -> Option<InstanceId> {
        let id = machine_in(words(process))?;
        (**process.user_id()? == user_of(id)).then_some(id)
    }

    fn words(process: &Process) -> impl Iterator<Item = &[u8]> {
        process.cmd().iter().map(|argument| argument.as_encoded_bytes())
    }

    fn look_at(which: ProcessesToUpdate<'_>) -> Option<System> {
        let system = System::new();
        let system = system.inspect_err(|error| tracing::error!("processes cannot be looked at: {error}"));
        let mut system = system.ok()?;
        let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always).with_user(UpdateKind::Always);
        system.refresh_processes_specifics(which, true, what.without_tasks());
        Some(system)
    }

    /// Kills the process, if it is the machine's QEMU.
    pub(crate) fn kill(process: i32, id: InstanceId) {
        if runs(process, id)
            && let Err(error) = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), Signal::SIGKILL)
        {
            tracing::warn!(process, %error, "QEMU cannot be killed");
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::account::Account;
    use crate::arguments::FIRST_OPTION;
    use crate::launch::become_account;

    type Runs = fn(i32, InstanceId) -> bool;
    type Kill = fn(i32, InstanceId);

    /// This system's way, and that of those without `/proc`.
    const WAYS: [(Runs, Kill); 2] = [(runs, kill), (elsewhere::runs, elsewhere::kill)];

    /// A program with the arguments of a machine's QEMU. It says a word when it has begun.
    fn shell(script: &str, id: InstanceId) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("echo; {script}"), "sh", "-uuid", &id.to_string(), FIRST_OPTION]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        shell
    }

    fn begun(mut command: Command) -> (Child, i32) {
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let number = i32::try_from(child.id()).unwrap();
        (child, number)
    }

    fn as_machine(mut command: Command, id: InstanceId) -> Command {
        become_account(&mut command, Account::of(id, None));
        command
    }

    #[test]
    fn a_process_is_the_machines_by_its_id_and_its_user() {
        for (runs, kill) in WAYS {
            let (id, other) = (InstanceId::random(), InstanceId::random());
            let (mut child, process) = begun(as_machine(shell("read line", id), id));
            assert!(!runs(process, other));
            kill(process, other);
            assert!(runs(process, id));
            kill(process, id);
            assert_eq!(child.wait().unwrap().signal(), Some(9));
            assert!(!runs(process, id));
            // There is no such process; nor may one become all of them.
            for process in [process, 0, -1] {
                assert!(!runs(process, id));
                kill(process, id);
            }
        }
    }

    #[test]
    fn a_process_of_another_user_is_no_machines() {
        if !e2e::is_root() {
            return e2e::skip("nobody but root can be two users");
        }
        for (runs, kill) in WAYS {
            let id = InstanceId::random();
            let (mut child, process) = begun(shell("read line", id));
            assert!(!runs(process, id));
            kill(process, id);
            assert!(child.try_wait().unwrap().is_none(), "it is left alone");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn all_machines_are_found() {
        for machines in [machines, elsewhere::machines] {
            let id = InstanceId::random();
            let root = PathBuf::from(format!("/machines of {id}"));
            let mut command = shell("read line", id);
            command.arg(format!("fd=1,set=1,opaque={}", root.join("web").display()));
            let (mut child, process) = begun(as_machine(command, id));
            assert_eq!(machines(&root), [(process, id)]);
            assert_eq!(machines(&root.join("others")), []);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(machines(&root), []);
        }
    }

    #[test]
    fn a_process_runs_until_it_has_let_go_of_its_files() {
        let (id, file) = (InstanceId::random(), tempfile::tempfile().unwrap());
        file.lock().unwrap();
        // Much memory takes the kernel long to free, between the arguments and the files.
        let script = "much=$(head -c 100000000 /dev/zero | tr '\\0' x); echo; read line";
        let mut command = as_machine(shell(script, id), id);
        command.stderr(file.try_clone().unwrap());
        let (mut child, process) = begun(command);
        let again = File::options().read(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        drop(file);
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert!(again.try_lock().is_err(), "it holds the lock");
        kill(process, id);
        // With pauses: a look under way would free the memory itself, and the process be quicker than that.
        while runs(process, id) {
            std::thread::sleep(Duration::from_millis(1));
        }
        again.try_lock().unwrap();
        child.wait().unwrap();
    }
}
