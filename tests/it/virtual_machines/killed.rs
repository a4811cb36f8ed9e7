//! The daemon killed in each state of an instance, and the host started again: the next daemon finds the instance in its
//! true state, with its disk, and nothing half made.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rpc::{
    DeleteRequest, InstanceSnapshotPair, PurgeRequest, RecoverRequest, RestartRequest, StartRequest,
    StopRequest, SuspendRequest,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::Status;

use super::guest::DEADLINE;
use super::{Host, all, one, states, web};
use crate::peer::Peer;
use crate::support::{Service, below};

impl Host {
    /// Kills the daemon, does `meanwhile`, and starts a daemon on the same files.
    pub(super) async fn killed(&mut self, meanwhile: impl FnOnce(&Self)) -> Peer {
        let daemon = &mut self.service.as_mut().expect("a service").daemon;
        daemon.signal(Signal::SIGKILL).expect("a daemon");
        daemon.wait().expect("an end");
        meanwhile(self);
        self.service = self.service.take().map(Service::started_again);
        self.peer().await
    }

    /// The process of the instance's QEMU.
    fn process(&self) -> Option<i32> {
        let pid = self.service().daemon.data.join("instances/web/machine/pid");
        std::fs::read_to_string(pid).ok()?.trim().parse().ok()
    }
}

/// Waits for a state, and sees nothing before it but those that may come before.
async fn becomes(peer: &mut Peer, state: &str, before: &[&str]) {
    let end = Instant::now() + DEADLINE;
    loop {
        let seen = states(peer).await;
        let seen = seen.first().and_then(|one| one.strip_prefix("web ")).unwrap_or("gone").to_owned();
        if seen == state {
            return;
        }
        assert!(before.contains(&seen.as_str()), "{seen} instead of {state}");
        assert!(Instant::now() < end, "still {seen}, not {state}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Begins a call that the daemon's end breaks off.
fn begin<T: Send + 'static>(
    call: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> JoinHandle<Result<T, Status>> {
    tokio::spawn(call)
}

async fn breaks_off<T>(call: JoinHandle<Result<T, Status>>) {
    assert!(call.await.unwrap().is_err(), "its daemon was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_found_in_its_true_state_whenever_the_daemon_is_killed() {
    let Some(mut host) = Host::start() else { return };
    let mut peer = host.peer().await;

    // While it starts: it goes on starting, and is told of as such until it is up.
    let (mut caller, wish) = (peer.clone(), host.wish("web"));
    let launch = begin(async move { all(caller.rpc.launch(one(wish))).await });
    let begun = Instant::now() + DEADLINE;
    while states(&mut peer).await != ["web Starting"] || host.process().is_none() {
        assert!(!launch.is_finished() && Instant::now() < begun, "it starts");
        sleep(Duration::from_millis(10)).await;
    }
    let process = host.process();
    let mut peer = host.killed(|_| {}).await;
    breaks_off(launch).await;
    becomes(&mut peer, "Running", &["Starting"]).await;
    assert_eq!(host.process(), process, "it is the same machine");
    host.run("web", "echo on its disk >kept; sync; echo in its memory >/tmp/kept").await;
    let boot = host.boot_id("web").await;

    // While it runs.
    let mut peer = host.killed(|_| {}).await;
    assert_eq!(states(&mut peer).await, ["web Running"]);

    // While it is being suspended: it is either, and has lost nothing.
    let mut caller = peer.clone();
    let suspend = SuspendRequest { instance_names: web(), ..Default::default() };
    let request = suspend.clone();
    let suspending = begin(async move { all(caller.rpc.suspend(one(request))).await });
    becomes(&mut peer, "Suspending", &["Running"]).await;
    let mut peer = host.killed(|_| {}).await;
    breaks_off(suspending).await;
    let found = states(&mut peer).await;
    assert!(["web Running", "web Suspended"].contains(&found[0].as_str()), "{found:?}");
    start(&mut peer).await.unwrap();
    assert_eq!(host.boot_id("web").await, boot);

    // Suspended; and while it is being resumed.
    all(peer.rpc.suspend(one(suspend))).await.unwrap();
    let mut peer = host.killed(|_| {}).await;
    assert_eq!(states(&mut peer).await, ["web Suspended"]);
    let mut caller = peer.clone();
    let resuming = begin(async move { start(&mut caller).await });
    becomes(&mut peer, "Starting", &["Suspended"]).await;
    let mut peer = host.killed(|_| {}).await;
    breaks_off(resuming).await;
    becomes_either(&mut peer, ["web Running", "web Suspended"]).await;
    start(&mut peer).await.unwrap();
    assert_eq!(host.boot_id("web").await, boot);
    assert_eq!(host.run("web", "cat /tmp/kept").await, "in its memory");

    // While it restarts: its guest shuts down all the same, and nobody starts it again.
    let mut caller = peer.clone();
    let restart = RestartRequest { instance_names: web(), ..Default::default() };
    let restarting = begin(async move { all(caller.rpc.restart(one(restart))).await });
    becomes(&mut peer, "Restarting", &["Running"]).await;
    // The guest has been told by then.
    sleep(Duration::from_millis(300)).await;
    let mut peer = host.killed(|_| {}).await;
    breaks_off(restarting).await;
    becomes(&mut peer, "Stopped", &["Running", "Starting"]).await;

    // In the bin.
    let pair = InstanceSnapshotPair { instance_name: "web".to_owned(), snapshot_name: None };
    let delete = DeleteRequest { instance_snapshot_pairs: vec![pair], ..Default::default() };
    all(peer.rpc.delet(one(delete.clone()))).await.unwrap();
    let mut peer = host.killed(|_| {}).await;
    assert_eq!(states(&mut peer).await, ["web Deleted"]);
    let recover = RecoverRequest { instance_names: web(), ..Default::default() };
    all(peer.rpc.recover(one(recover))).await.unwrap();
    assert_eq!(states(&mut peer).await, ["web Stopped"]);

    // Stopped; and while it is being stopped.
    let mut peer = host.killed(|_| {}).await;
    assert_eq!(states(&mut peer).await, ["web Stopped"]);
    start(&mut peer).await.unwrap();
    assert_ne!(host.boot_id("web").await, boot);
    assert_eq!(host.run("web", "cat kept").await, "on its disk");
    let mut caller = peer.clone();
    let stop = StopRequest { instance_names: web(), ..Default::default() };
    let stopping = begin(async move { all(caller.rpc.stop(one(stop))).await });
    sleep(Duration::from_millis(300)).await;
    let mut peer = host.killed(|_| {}).await;
    breaks_off(stopping).await;
    becomes(&mut peer, "Stopped", &["Running", "Starting"]).await;

    // The host is started again while it runs: by then its process' number is another's, who is spared.
    let wait = StartRequest { instance_names: web(), timeout: 1, ..Default::default() };
    // That the guest is not up in time is no matter: its machine runs.
    let _ = all(peer.rpc.start(one(wait))).await;
    let mut other = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let number = other.id().to_string();
    let mut peer = host
        .killed(|host| {
            kill(Pid::from_raw(host.process().unwrap()), Signal::SIGKILL).unwrap();
            let machine = host.service().daemon.data.join("instances/web/machine");
            std::fs::write(machine.join("pid"), &number).unwrap();
            assert!(
                machine.join("qmp.sock").exists() && machine.join("port").exists(),
                "as a power cut leaves them"
            );
        })
        .await;
    assert_eq!(states(&mut peer).await, ["web Stopped"]);
    assert_eq!(host.process(), None);
    start(&mut peer).await.unwrap();
    assert_eq!(host.run("web", "cat kept").await, "on its disk");
    assert_eq!(other.try_wait().unwrap(), None, "nobody has killed it");
    other.kill().and_then(|()| other.wait()).unwrap();

    all(peer.rpc.delet(one(delete))).await.unwrap();
    all(peer.rpc.purge(one(PurgeRequest::default()))).await.unwrap();
    let left = below(&host.service().daemon.data.join("instances"));
    assert!(left.iter().all(|file| file.ends_with("lock")), "{left:?}");
}

pub(super) async fn start(peer: &mut Peer) -> Result<(), Status> {
    let start = StartRequest { instance_names: web(), timeout: 120, ..Default::default() };
    all(peer.rpc.start(one(start))).await.map(drop)
}

async fn becomes_either(peer: &mut Peer, either: [&str; 2]) {
    let end = Instant::now() + DEADLINE;
    loop {
        let seen = states(peer).await;
        if either.contains(&seen[0].as_str()) {
            return;
        }
        assert!(seen == ["web Starting"] && Instant::now() < end, "{seen:?}");
        sleep(Duration::from_millis(10)).await;
    }
}
