//! `multipassd stop-machines`: what a daemon has left running is shut down, and nothing beside one that runs.

use std::process::Command;

use e2e::Outcome;

use super::killed::start;
use super::{Host, all, one, states};
use crate::support::Expected;

/// The command on the host's data, with the environment that root has.
fn stop_machines(host: &Host) -> Outcome {
    let storage = host.service().daemon.data.parent().expect("a directory");
    let mut command = Command::new(host.service().sandbox.path("multipassd"));
    Outcome::of(command.arg("stop-machines").env("MULTIPASS_STORAGE", storage), "").expect("an outcome")
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_were_left_running_are_shut_down() {
    let Some(mut host) = Host::start() else { return };
    let mut peer = host.peer().await;
    all(peer.rpc.launch(one(host.wish("web")))).await.unwrap();
    host.run("web", "echo in no file yet >kept").await;

    stop_machines(&host).fails(1, "", &["another multipassd uses"]);
    assert_eq!(states(&mut peer).await, ["web Running"]);

    let mut peer = host
        .killed(|host| {
            let outcome = stop_machines(host);
            // Not cut off, of which it would warn.
            assert!(!outcome.stderr.contains("is cut off"), "{outcome:?}");
            assert_eq!(
                (outcome.code, outcome.stdout.trim()),
                (0, "Machines that were stopped: 1."),
                "{outcome:?}"
            );
            assert_eq!(stop_machines(host).stdout.trim(), "Machines that were stopped: 0.");
        })
        .await;
    assert_eq!(states(&mut peer).await, ["web Stopped"]);
    start(&mut peer).await.unwrap();
    assert_eq!(host.run("web", "cat kept").await.trim(), "in no file yet");
}
