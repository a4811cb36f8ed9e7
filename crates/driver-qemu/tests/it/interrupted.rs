//! The daemon killed in the middle of something. No guest need be up for that.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use instances::{Driver, MachineState, Stop};

use crate::lab::{Guest, Lab};

/// Says something to a machine's QEMU that its daemon has not said.
fn tell(guest: &Guest, command: &str) {
    let stream = UnixStream::connect(guest.machine.directory.join("qmp.sock")).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let greeting = lines.next().unwrap().unwrap();
    assert!(greeting.contains("QMP"), "{greeting}");
    for command in ["{\"execute\": \"qmp_capabilities\"}", command] {
        writeln!(&stream, "{command}").unwrap();
        let answer = lines.find(|line| !line.as_ref().unwrap().contains("\"event\"")).unwrap().unwrap();
        assert!(answer.contains("return"), "{command}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_found_in_its_true_state_whatever_was_interrupted() {
    let Some(mut lab) = Lab::open() else { return };
    let guest = lab.prepared("guest").await;
    let suspended = guest.machine.directory.join("suspended.json");

    // Before anything: it is off.
    lab.restart_daemon();
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Off);

    // Before it was let run, and before its port was forwarded.
    lab.driver.start(&guest.machine).await.unwrap();
    lab.restart_daemon();
    tell(&guest, r#"{"execute": "stop"}"#);
    // Nor was a job of suspending it that had ended.
    tell(
        &guest,
        r#"{"execute": "snapshot-save", "arguments":
            {"job-id": "save", "tag": "another", "vmstate": "disk", "devices": ["disk"]}}"#,
    );
    std::fs::remove_file(guest.machine.directory.join("port")).unwrap();
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Running);
    assert!(lab.driver.ssh_address(&guest.machine).await.is_some());

    // After its state was kept, before its QEMU was ended: the state is all there is.
    lab.driver.suspend(&guest.machine).await.unwrap();
    let kept = std::fs::read(&suspended).unwrap();
    lab.driver.resume(&guest.machine).await.unwrap();
    assert!(!suspended.exists(), "a state that is used up is offered no more");
    lab.driver.suspend(&guest.machine).await.unwrap();
    lab.driver.resume(&guest.machine).await.unwrap();
    lab.restart_daemon();
    std::fs::write(&suspended, kept).unwrap();
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Suspended);
    assert!(guest.process().is_none(), "its QEMU has ended");
    std::fs::remove_file(&suspended).unwrap();

    // Its QEMU ended while there was no daemon; its number is another's by now.
    lab.driver.start(&guest.machine).await.unwrap();
    guest.kill();
    lab.restart_daemon();
    std::fs::write(guest.machine.directory.join("pid"), std::process::id().to_string()).unwrap();
    assert_eq!(lab.driver.reattach(&guest.machine).await, MachineState::Off);
    assert!(guest.process().is_none() && !guest.files().iter().any(|name| name.ends_with(".sock")));

    // Not reattached at all: it is told of as an orphan, and is neither started twice nor spared when it is deleted.
    lab.driver.start(&guest.machine).await.unwrap();
    lab.restart_daemon();
    let process = i32::try_from(guest.process().unwrap()).unwrap();
    let (here, id) = (&guest.machine.directory, guest.machine.id);
    let above = here.parent().unwrap();
    assert_eq!(lab.driver.orphans(above, &[]), [(process, id)]);
    assert_eq!(lab.driver.orphans(above, &[id]), []);
    // Another daemon's are not told of.
    assert_eq!(lab.driver.orphans(&here.join("elsewhere"), &[]), []);
    let error = lab.driver.start(&guest.machine).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("runs it already"), "{cause}");
    lab.driver.stop(&guest.machine, Stop::Force).await.unwrap();
    assert_eq!(lab.state(&guest).await, MachineState::Off);
    assert_eq!(guest.files(), ["disk.qcow2", "seed.img", "serial.log"]);
    lab.driver.delete(&guest.machine).await.unwrap();
}
