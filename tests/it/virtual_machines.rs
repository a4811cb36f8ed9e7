//! Instances on real QEMU: the life of one, its daemon killed under it, and images that their callers may not read.

mod transfer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{DaemonOptions, is_root, skip};
use nix::sys::signal::Signal;
use rpc::launch_reply::CreateOneof;
use rpc::list_reply::ListContents;
use rpc::{
    DeleteRequest, InfoRequest, InstanceNames, InstanceSnapshotPair, LaunchRequest, ListRequest,
    PurgeRequest, RecoverRequest, StartRequest, StopRequest, SuspendRequest,
};
use tonic::{Code, Response, Status, Streaming};

use crate::peer::{Identity, Peer, Place};
use crate::support::{Expected, NO_INSTANCES, Service, below, run};

/// A daemon with the guest's image; its machines end with it.
pub(crate) struct Host {
    service: Option<Service>,
    pub(crate) image: PathBuf,
    identity: Identity,
}

impl Host {
    /// Where there are QEMU and a guest image; else the test is skipped.
    fn start() -> Option<Self> {
        Self::start_with(DaemonOptions::default())
    }

    /// As [`start`](Self::start), with a daemon of one's own choice.
    pub(crate) fn start_with(options: DaemonOptions) -> Option<Self> {
        // Where cargo has the target directory, its folder for tests is in it.
        let image = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-image/guest.qcow2");
        if !image.exists() {
            skip("needs a guest: cargo xtask guest-image");
            return None;
        }
        for program in ["qemu-system-x86_64", "qemu-img"] {
            if Command::new(program).arg("--version").output().is_err() {
                skip(&format!("needs QEMU: there is no {program}"));
                return None;
            }
        }
        Some(Self { service: Some(Service::start_with(options)), image, identity: Identity::new() })
    }

    pub(crate) fn service(&self) -> &Service {
        self.service.as_ref().expect("a service")
    }

    async fn peer(&self) -> Peer {
        Peer::connect(&Place::of(&self.service().daemon), Some(&self.identity)).await.expect("a connection")
    }

    fn wish(&self, name: &str) -> LaunchRequest {
        LaunchRequest {
            instance_name: name.to_owned(),
            image: format!("file://{}", self.image.display()),
            mem_size: "128M".to_owned(),
            disk_space: "512M".to_owned(),
            timeout: 120,
            ..Default::default()
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let Some(service) = self.service.take() else { return };
        let instances = service.daemon.data.join("instances");
        // First the daemon, which could start others.
        let sandbox = service.sandbox;
        drop(service.daemon);
        for file in below(&instances).into_iter().filter(|file| file.ends_with("pid")) {
            let process = std::fs::read_to_string(file).unwrap_or_default();
            if let Ok(process) = process.trim().parse::<u32>() {
                let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
            }
        }
        drop(sandbox);
    }
}

async fn all<T>(
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
) -> Result<Vec<T>, Status> {
    let mut stream = call.await?.into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.message().await? {
        replies.push(reply);
    }
    Ok(replies)
}

fn one<T>(message: T) -> tokio_stream::Once<T> {
    tokio_stream::once(message)
}

fn web() -> Option<InstanceNames> {
    Some(InstanceNames { instance_name: vec!["web".to_owned()] })
}

async fn states(peer: &mut Peer) -> Vec<String> {
    let reply = all(peer.rpc.list(one(ListRequest::default()))).await.unwrap().remove(0);
    let Some(ListContents::InstanceList(list)) = reply.list_contents else { panic!("no list of instances") };
    let shown =
        |one: rpc::ListVmInstance| format!("{} {:?}", one.name, one.instance_status.unwrap().status());
    list.instances.into_iter().map(shown).collect()
}

async fn stop(peer: &mut Peer) {
    let stop = StopRequest { instance_names: web(), ..Default::default() };
    all(peer.rpc.stop(one(stop))).await.unwrap();
    assert_eq!(states(peer).await, ["web Stopped"]);
}

async fn start(peer: &mut Peer) {
    let start = StartRequest { instance_names: web(), timeout: 120, ..Default::default() };
    all(peer.rpc.start(one(start))).await.unwrap();
    assert_eq!(states(peer).await, ["web Running"]);
}

#[tokio::test]
async fn an_instance_goes_through_its_life() {
    let Some(host) = Host::start() else { return };
    let mut peer = host.peer().await;
    let replies = all(peer.rpc.launch(one(host.wish("web")))).await.unwrap();
    let last = replies.into_iter().next_back().and_then(|reply| reply.create_oneof);
    assert_eq!(last, Some(CreateOneof::VmInstanceName("web".to_owned())));
    assert_eq!(states(&mut peer).await, ["web Running"]);

    let info = all(peer.rpc.info(one(InfoRequest::default()))).await.unwrap().remove(0).details.remove(0);
    assert_eq!((info.name.as_str(), info.memory_total.as_str()), ("web", "134217728"));

    stop(&mut peer).await;
    start(&mut peer).await;
    let suspend = SuspendRequest { instance_names: web(), ..Default::default() };
    all(peer.rpc.suspend(one(suspend))).await.unwrap();
    assert_eq!(states(&mut peer).await, ["web Suspended"]);
    start(&mut peer).await;

    let pair = InstanceSnapshotPair { instance_name: "web".to_owned(), snapshot_name: None };
    let delete = DeleteRequest { instance_snapshot_pairs: vec![pair], ..Default::default() };
    all(peer.rpc.delet(one(delete.clone()))).await.unwrap();
    assert_eq!(states(&mut peer).await, ["web Deleted"]);
    let recover = RecoverRequest { instance_names: web(), ..Default::default() };
    all(peer.rpc.recover(one(recover))).await.unwrap();
    assert_eq!(states(&mut peer).await, ["web Stopped"]);
    all(peer.rpc.delet(one(delete))).await.unwrap();
    let purged = all(peer.rpc.purge(one(PurgeRequest::default()))).await.unwrap().remove(0);
    assert_eq!(purged.purged_instances, ["web"]);
    assert_eq!(states(&mut peer).await, [""; 0]);
    let left = below(&host.service().daemon.data.join("instances"));
    assert!(left.iter().all(|file| file.ends_with("lock")), "{left:?}");
}

#[tokio::test]
async fn an_instance_outlives_its_daemon() {
    let Some(mut host) = Host::start() else { return };
    let mut peer = host.peer().await;
    all(peer.rpc.launch(one(host.wish("web")))).await.unwrap();
    host.service = host.service.take().map(|service| service.restart(Signal::SIGKILL));
    let mut peer = host.peer().await;
    assert_eq!(states(&mut peer).await, ["web Running"]);
    stop(&mut peer).await;
}

#[tokio::test]
async fn an_image_that_its_caller_may_not_read_is_refused() {
    use nix::unistd::{Gid, Uid, setegid, seteuid, setgroups};

    if !is_root() {
        return skip("needs root, to act as another user");
    }
    let Some(host) = Host::start() else { return };
    let mut root = host.peer().await;
    root.list().await.unwrap();
    let secret = host.service().sandbox.path("secret.qcow2");
    std::fs::copy(&host.image, &secret).unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let wish = LaunchRequest { image: format!("file://{}", secret.display()), ..host.wish("web") };

    // The test is a process of its own, and its rights are taken when it connects.
    let identity = Identity::new();
    root.add(&identity).await.unwrap();
    setgroups(&[]).unwrap();
    setegid(Gid::from_raw(4001)).unwrap();
    seteuid(Uid::from_raw(4001)).unwrap();
    let other = Peer::connect(&Place::of(&host.service().daemon), Some(&identity)).await;
    seteuid(Uid::from_raw(0)).unwrap();
    setegid(Gid::from_raw(0)).unwrap();

    let mut other = other.unwrap();
    let status = all(other.rpc.launch(one(wish))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(status.message().contains("user 4001 may not read it"), "{status:?}");
    assert_eq!(states(&mut other).await, [""; 0]);
}

/// The same with the commands of users.
#[test]
fn the_commands_make_an_instance_and_end_it() {
    let Some(host) = Host::start() else { return };
    let user = host.service().first_client();
    let image = host.image.display().to_string();
    let launched = run(&user, &["launch", &image, "--name", "web", "--memory", "128M", "--disk", "512M"]);
    assert_eq!((launched.code, launched.stdout.as_str()), (0, "Launched: web\n"), "{launched:?}");
    let state_is = |state: &str| {
        let listed = run(&user, &["list", "--format", "csv"]);
        assert!(listed.stdout.contains(&format!("\nweb,{state},")), "no {state}: {listed:?}");
    };
    state_is("Running");
    run(&user, &["launch", &image, "--name", "web"]).fails(2, "launch failed: ", &["\"web\" already exists"]);
    run(&user, &["set", "local.web.cpus=2"]).fails(2, "set failed: ", &["web"]);
    run(&user, &["stop", "web"]).prints("");
    state_is("Stopped");
    run(&user, &["set", "local.web.cpus=2"]).prints("");
    run(&user, &["get", "local.web.cpus"]).prints("2\n");
    run(&user, &["delete", "web"]).prints("");
    state_is("Deleted");
    run(&user, &["start", "web"]).fails(2, "start failed: ", &["Instance 'web' is deleted."]);
    run(&user, &["recover", "web"]).prints("");
    state_is("Stopped");
    run(&user, &["delete", "--purge", "web"]).prints("");
    run(&user, &["list"]).prints(NO_INSTANCES);
    run(&user, &["info", "web"]).fails(2, "info failed: instance \"web\" does not exist", &[]);
    for bad in
        [&["--name", "-x"][..], &["--memory", "1Q"], &["--disk", "1M"], &["--name", "web", "--memory", "1"]]
    {
        let refused = run(&user, &[&["launch", image.as_str()], bad].concat());
        assert!(refused.code != 0 && !refused.stderr.is_empty(), "{bad:?}: {refused:?}");
    }
    run(&user, &["list"]).prints(NO_INSTANCES);
}
