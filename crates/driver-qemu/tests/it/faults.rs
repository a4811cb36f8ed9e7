//! What goes wrong: each a clear error, and nothing left behind.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use instances::{DiskSize, Driver, DriverError, ImageFormat, MachineState, Stop};
use tokio::time::timeout;

use crate::lab::{DEADLINE, Lab};

fn cause(error: &DriverError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_not_smaller_than_its_image_nor_based_on_what_is_none() {
    let Some(lab) = Lab::open() else { return };
    let large = lab.path("large.raw");
    std::fs::File::create(&large).unwrap().set_len(DiskSize::LEAST.bytes() + 1).unwrap();
    for (format, expected) in
        [(ImageFormat::Raw, "give '--disk 513M'"), (ImageFormat::Qcow2, "it is not a qcow2 image")]
    {
        let mut guest = lab.guest(if format == ImageFormat::Raw { "raw" } else { "none" });
        guest.machine.image.path.clone_from(&large);
        guest.machine.image.format = format;
        let error = lab.driver.prepare(&guest.machine, &lab.seed(&guest)).await.unwrap_err();
        assert!(cause(&error).contains(expected), "{error}: {}", cause(&error));
        // As the caller does, who gives up.
        lab.driver.delete(&guest.machine).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_start_is_off_and_says_why() {
    let Some(lab) = Lab::open() else { return };
    let guest = lab.prepared("guest").await;
    std::fs::write(guest.machine.directory.join("disk.qcow2"), "no disk").unwrap();
    let error = lab.driver.start(&guest.machine).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start the virtual machine");
    assert!(cause(&error).contains("not in qcow2 format"), "{}", cause(&error));
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img"]);

    std::fs::remove_file(guest.machine.directory.join("disk.qcow2")).unwrap();
    assert!(lab.driver.start(&guest.machine).await.is_err());
    assert_eq!(guest.files(), ["seed.img"]);
    for error in [
        lab.driver.suspend(&guest.machine).await.unwrap_err(),
        lab.driver.reachable(&guest.machine).await.unwrap_err(),
        lab.driver.stop(&guest.machine, Stop::Shutdown { within: DEADLINE }).await.unwrap_err(),
    ] {
        assert!(matches!(error, DriverError::Ended(_)), "{error}");
    }
    assert!(lab.driver.resume(&guest.machine).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_shut_down_runs_on_until_it_is_forced() {
    let Some(lab) = Lab::open() else { return };
    let guest = lab.prepared("guest").await;
    lab.driver.start(&guest.machine).await.unwrap();
    // It is not yet up, and notices nothing.
    let within = Duration::from_millis(200);
    let error = lab.driver.stop(&guest.machine, Stop::Shutdown { within }).await.unwrap_err();
    assert!(matches!(error, DriverError::TimedOut), "{error}");
    assert_eq!(lab.state(&guest).await, MachineState::Running);
    assert!(lab.driver.start(&guest.machine).await.is_err(), "it runs already");

    // Whoever waits for it is told when it ends instead.
    let (waited, stopped) =
        tokio::join!(lab.driver.reachable(&guest.machine), lab.driver.stop(&guest.machine, Stop::Force));
    stopped.unwrap();
    assert!(matches!(waited, Err(DriverError::Ended(_))), "{waited:?}");
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    lab.driver.stop(&guest.machine, Stop::Force).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn force_does_not_wait_for_a_qemu_that_keeps_its_state_without_end() {
    let Some(lab) = Lab::open() else { return };
    let guest = lab.prepared("guest").await;
    lab.driver.start(&guest.machine).await.unwrap();
    let process = guest.process().unwrap().to_string();
    assert!(Command::new("kill").args(["-STOP", &process]).status().unwrap().success());
    let (suspended, stopped) = tokio::join!(lab.driver.suspend(&guest.machine), async {
        // Until it has its turn.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        // Less than QEMU is given for an answer.
        timeout(Duration::from_secs(15), lab.driver.stop(&guest.machine, Stop::Force)).await
    });
    stopped.unwrap().unwrap();
    suspended.unwrap_err();
    assert_eq!(lab.state(&guest).await, MachineState::Off);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forced_to_be_off_while_it_restarts_does_not_start_again() {
    let Some(lab) = Lab::open() else { return };
    let guest = lab.prepared("guest").await;
    lab.driver.start(&guest.machine).await.unwrap();
    // It is not up yet, and so does not shut down.
    let (restarted, stopped) = tokio::join!(lab.driver.restart(&guest.machine, DEADLINE), async {
        // Until it has its turn.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        lab.driver.stop(&guest.machine, Stop::Force).await
    });
    stopped.unwrap();
    let error = restarted.unwrap_err();
    assert!(matches!(error, DriverError::Ended(_)), "{error:?}");
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    lab.driver.start(&guest.machine).await.unwrap();
    lab.driver.stop(&guest.machine, Stop::Force).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_machine_is_forced_to_be_off_and_a_disk_grows() {
    let Some(lab) = Lab::open() else { return };
    let mut guest = lab.prepared("guest").await;
    let disk = guest.machine.directory.join("disk.qcow2");
    let snapshots = || {
        let output = Command::new("qemu-img").args(["snapshot", "-l"]).arg(&disk).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().contains("suspend")
    };
    lab.driver.start(&guest.machine).await.unwrap();
    lab.driver.suspend(&guest.machine).await.unwrap();
    assert!(snapshots());
    lab.driver.stop(&guest.machine, Stop::Force).await.unwrap();
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    assert!(!snapshots(), "the state takes no more room");

    guest.machine.spec.disk = DiskSize::from_bytes(2 * DiskSize::LEAST.bytes()).unwrap();
    lab.driver.grow_disk(&guest.machine).await.unwrap();
    let info = Command::new("qemu-img").args(["info", "--output=json"]).arg(&disk).output().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["virtual-size"], 2 * DiskSize::LEAST.bytes());
    assert_eq!(info["backing-filename"], lab.image.to_str().unwrap());

    // Never smaller: what is beyond would be lost.
    guest.machine.spec.disk = DiskSize::LEAST;
    let error = lab.driver.grow_disk(&guest.machine).await.unwrap_err();
    assert!(cause(&error).contains("shrink"), "{}", cause(&error));
    let checked = Command::new("qemu-img").arg("check").arg(&disk).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_says_it_is_based_on_does_not_matter() {
    let Some(lab) = Lab::open() else { return };
    let mut guest = lab.prepared("guest").await;
    let disk = guest.machine.directory.join("disk.qcow2");
    // As a guest may do that has broken into its QEMU: it would be given the file at the next start.
    let rebased = Command::new("qemu-img")
        .args(["rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "/nonexistent/shadow"])
        .arg(&disk)
        .output()
        .unwrap();
    assert!(rebased.status.success(), "{rebased:?}");
    guest.machine.spec.disk = DiskSize::from_bytes(2 * DiskSize::LEAST.bytes()).unwrap();
    lab.driver.grow_disk(&guest.machine).await.unwrap();
    lab.driver.start(&guest.machine).await.unwrap();
    lab.driver.stop(&guest.machine, Stop::Force).await.unwrap();
}

/// A small file system, for as long as this lives.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "small"])
            .arg(&at)
            .status();
        assert!(mounted.unwrap().success());
        Self(at)
    }

    fn free_kib(&self) -> u64 {
        let output = Command::new("df").args(["--output=avail", "-k"]).arg(&self.0).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        crate::lab::kill_all(&self.0);
        // Also where one still has a file in it open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_host_halts_a_machine_until_there_is_room() {
    let Some(lab) = Lab::open() else { return };
    if !e2e::is_root() {
        return e2e::skip("needs root, to mount a small file system");
    }
    let small = Small::mount(lab.path("small"));
    let mut guest = lab.guest("guest");
    guest.machine.directory = small.0.join("guest");
    std::fs::create_dir(&guest.machine.directory).unwrap();
    lab.driver.prepare(&guest.machine, &lab.seed(&guest)).await.unwrap();
    let filler = small.0.join("filler");
    std::fs::write(&filler, vec![1; 40 << 20]).unwrap();

    lab.driver.start(&guest.machine).await.unwrap();
    lab.reachable(&guest).await.unwrap();
    let mut written =
        std::pin::pin!(lab.run(&guest, "dd if=/dev/urandom of=file bs=1M count=32 && sync && wc -c <file"));
    // Nearly full, and nothing is written any more.
    let full = async {
        let (mut before, mut unchanged) = (u64::MAX, 0);
        while before > 4096 || unchanged < 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let free = small.free_kib();
            unchanged = if free == before { unchanged + 1 } else { 0 };
            before = free;
        }
    };
    tokio::select! {
        () = full => {}
        _ = &mut written => panic!("there was no room for it"),
    }
    assert_eq!(lab.state(&guest).await, MachineState::Running);
    std::fs::remove_file(filler).unwrap();
    assert_eq!(written.await, (32 << 20).to_string());
    lab.driver.stop(&guest.machine, Stop::Shutdown { within: DEADLINE }).await.unwrap();
    let disk = guest.machine.directory.join("disk.qcow2");
    let checked = Command::new("qemu-img").arg("check").arg(&disk).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
