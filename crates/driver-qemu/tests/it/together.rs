//! Two machines at once, and what either could reach on the host.

use std::path::Path;

use instances::{Driver, Machine, MachineState, Stop};
use ssh::{FinishedCommand, KeyPair, SessionError};

use crate::lab::{DEADLINE, Guest, Lab};

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_do_not_know_of_each_other() {
    let Some(lab) = Lab::open() else { return };
    let (one, two) = (lab.prepared("one").await, lab.prepared("two").await);
    lab.driver.start(&one.machine).await.unwrap();
    lab.driver.start(&two.machine).await.unwrap();
    confined(&one, &two);
    let (first, second) = tokio::join!(lab.reachable(&one), lab.reachable(&two));
    first.and(second).unwrap();
    assert_eq!(lab.run(&one, "hostname").await, "one");
    assert_eq!(lab.run(&two, "hostname").await, "two");

    only_the_right_keys_open(&lab, &one, &two).await;

    // One shuts itself down, which is told; the other does not notice.
    let mut ended = lab.driver.ended();
    lab.session(&one, "root").await.run("poweroff", 1024).await.unwrap();
    let end = tokio::time::timeout(DEADLINE, ended.recv()).await.expect("its end should be told").unwrap();
    assert!(end.id == one.machine.id && end.reason == "its guest has shut down", "{end:?}");
    assert_eq!(lab.state(&one).await, MachineState::Off);
    assert_eq!(lab.run(&two, "hostname").await, "two");

    lab.driver.stop(&two.machine, Stop::Force).await.unwrap();
    assert_eq!(lab.state(&two).await, MachineState::Off);
    assert!(ended.try_recv().is_err(), "what was asked for is told to nobody");
}

async fn only_the_right_keys_open(lab: &Lab, one: &Guest, two: &Guest) {
    // Another host than was expected: somebody else's port, after a restart.
    let error = lab.open_session(one, &two.host.public(), "ubuntu", &lab.key).await.unwrap_err();
    assert!(matches!(error, SessionError::WrongHost), "{error}");
    let stranger = KeyPair::generate().unwrap();
    let error = lab.open_session(one, &one.host.public(), "ubuntu", &stranger).await.unwrap_err();
    assert!(matches!(error, SessionError::NotLetIn { .. }), "{error}");

    let session = lab.session(one, "ubuntu").await;
    let finished = session.run("cat; echo out; echo err >&2; exit 7", 1024).await.unwrap();
    assert_eq!(finished, FinishedCommand { code: Some(7), stdout: b"out\n".into(), stderr: b"err\n".into() });
    let error = session.run("yes", 1024).await.unwrap_err();
    assert!(matches!(error, SessionError::TooMuch { limit: 1024 }), "{error}");
}

/// As many threads as its user may have.
#[cfg(target_os = "linux")]
fn most_threads(guest: &Guest) -> u32 {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", guest.process().unwrap())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(u32::MAX)
}

/// What a guest that has broken out of its QEMU would find.
#[cfg(target_os = "linux")]
fn confined(one: &Guest, two: &Guest) {
    let uid = |guest: &Guest| status(guest, "Uid:");
    if e2e::is_root() {
        assert_ne!(uid(one), uid(two));
        for guest in [one, two] {
            assert!(!uid(guest).split_whitespace().any(|id| id == "0"), "{}", uid(guest));
            assert!(!status(guest, "Gid:").split_whitespace().any(|id| id == "0"));
            assert_eq!(status(guest, "Groups:"), "");
            assert_eq!(status(guest, "CapEff:"), "0000000000000000");
            assert!(most_threads(guest) < 1024, "one that starts threads without end would stop the host");
        }
    }
    for guest in [one, two] {
        assert_eq!(status(guest, "Seccomp:"), "2", "a filter of system calls");
        let process = guest.process().unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        assert!(limits.lines().any(|line| line.starts_with("Max core file size        0 ")), "{limits}");
        let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains("PRIVATE KEY"));
        let session = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // After the name in parentheses: state, parent, group, session.
        let session = session.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned();
        assert_eq!(session, process.to_string());
        for file in open_files(process) {
            assert!(expected(&file, &guest.machine), "{} is open in QEMU", file.display());
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn confined(_: &Guest, _: &Guest) {}

#[cfg(target_os = "linux")]
fn status(guest: &Guest, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guest.process().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned()
}

#[cfg(target_os = "linux")]
fn open_files(process: u32) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = entries.map(|entry| std::fs::read_link(entry.unwrap().path()));
    targets.filter_map(Result::ok).filter(|target| target.is_absolute()).collect()
}

/// Files with a name that a machine's QEMU has open.
#[cfg(target_os = "linux")]
fn expected(file: &Path, machine: &Machine) -> bool {
    let own = ["disk.qcow2", "seed.img"].map(|name| machine.directory.join(name));
    let devices = ["/dev/null", "/dev/urandom", "/dev/random", "/dev/kvm"];
    own.iter().any(|own| own == file)
        || file == machine.image.path
        || devices.iter().any(|device| file == Path::new(device))
}
