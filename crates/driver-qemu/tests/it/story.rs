//! The life of one machine. It is told in one test, because each start of a guest takes seconds.

use instances::{Driver, MachineState, Stop};

use crate::lab::{DEADLINE, Lab};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_through_all_that_is_asked_of_it() {
    let Some(mut lab) = Lab::open() else { return };
    let within = DEADLINE;

    // Prepared, and moved as the registry does it.
    let mut guest = lab.prepared("new").await;
    let directory = guest.machine.directory.with_file_name("brave-fox");
    std::fs::rename(&guest.machine.directory, &directory).unwrap();
    guest.machine.directory = directory;
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img"]);
    assert_eq!(lab.state(&guest).await, MachineState::Off);

    // Started: it is who it was made to be, and reached by the key that it was given.
    lab.driver.start(&guest.machine).await.unwrap();
    assert_eq!(lab.state(&guest).await, MachineState::Running);
    lab.reachable(&guest).await.unwrap();
    assert_eq!(lab.run(&guest, "hostname; whoami").await, "new\nubuntu");
    let first = lab.boot_id(&guest).await;
    lab.run(&guest, "echo kept >file; sync").await;

    // Stopped by its guest, and started again from the same disk.
    lab.driver.stop(&guest.machine, Stop::Shutdown { within }).await.unwrap();
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    assert_eq!(lab.driver.ssh_address(&guest.machine).await, None);
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img", "serial.log"]);
    lab.driver.start(&guest.machine).await.unwrap();
    lab.reachable(&guest).await.unwrap();
    let second = lab.boot_id(&guest).await;
    assert_ne!(first, second);
    assert_eq!(lab.run(&guest, "cat file").await, "kept");

    // Suspended and resumed: it has not noticed. The daemon may come and go.
    lab.run(&guest, "echo in memory >/tmp/file").await;
    lab.driver.suspend(&guest.machine).await.unwrap();
    assert_eq!(lab.state(&guest).await, MachineState::Suspended);
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img", "serial.log", "suspended.json"]);
    lab.restart_daemon();
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Suspended);
    assert!(lab.driver.start(&guest.machine).await.is_err(), "its state would be lost");
    lab.driver.resume(&guest.machine).await.unwrap();
    lab.reachable(&guest).await.unwrap();
    assert_eq!(lab.boot_id(&guest).await, second);
    assert_eq!(lab.run(&guest, "cat /tmp/file").await, "in memory");

    // Running on while there is no daemon, and found again.
    lab.restart_daemon();
    assert_eq!(lab.state(&guest).await, MachineState::Unknown);
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Running);
    assert_eq!(lab.boot_id(&guest).await, second);

    // Restarted.
    lab.driver.restart(&guest.machine, within).await.unwrap();
    lab.reachable(&guest).await.unwrap();
    assert_ne!(lab.boot_id(&guest).await, second);

    // Killed by another: told as such, and not still there.
    let mut ended = lab.driver.ended();
    guest.kill();
    let end = tokio::time::timeout(DEADLINE, ended.recv()).await.expect("its end should be told").unwrap();
    assert!(end.id == guest.machine.id && end.reason.contains("signal: 9"), "{end:?}");
    assert!(ended.try_recv().is_err(), "what was asked for is told to nobody");
    assert_eq!(lab.state(&guest).await, MachineState::Off);

    // Deleted: nothing is left of it but what its directory has.
    lab.driver.delete(&guest.machine).await.unwrap();
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img", "serial.log"]);
    let log = guest.serial_log();
    assert!(log.contains("reboot: Power down"), "{log}");
}
