//! Instances on real QEMU: the life of one, its daemon killed under it, and images that their callers may not read.

mod bad_input;
mod downloads;
mod guest;
mod killed;
mod long;
mod no_room;
mod programs;
mod reach;
mod stop_machines;
mod traces;
mod transfer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::{DaemonOptions, Sandbox, end_machines, is_root, skip, wait_until, without_qemu};
use nix::sys::signal::Signal;
use rpc::detailed_info_item::ExtraInfo;
use rpc::launch_reply::CreateOneof;
use rpc::list_reply::ListContents;
use rpc::{
    DeleteRequest, DetailedInfoItem, InfoRequest, InstanceDetails, InstanceNames, InstanceSnapshotPair,
    LaunchRequest, ListRequest, PurgeRequest, RecoverRequest, StartRequest, StopRequest, SuspendRequest,
};
use tonic::{Code, Response, Status, Streaming};

use crate::peer::{Identity, Peer, Place};
use crate::support::{Expected, NO_INSTANCES, Service, below, run};

/// How long a guest may take to answer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A daemon with the guest's image; its machines end with it.
pub(crate) struct Host {
    service: Option<Service>,
    pub(crate) image: PathBuf,
    identity: Identity,
}

impl Host {
    /// Where there are QEMU and the small guest's image; else the test is skipped.
    fn start() -> Option<Self> {
        Self::start_with(DaemonOptions::default())
    }

    /// As [`start`](Self::start), with a daemon of one's own choice.
    pub(crate) fn start_with(options: DaemonOptions) -> Option<Self> {
        Self::start_in(Sandbox::of_this_build().expect("a sandbox"), options)
    }

    fn start_in(sandbox: Sandbox, options: DaemonOptions) -> Option<Self> {
        Self::with("guest.qcow2", "cargo xtask guest-image", sandbox, options)
    }

    fn with(image: &str, made_by: &str, sandbox: Sandbox, options: DaemonOptions) -> Option<Self> {
        // Where cargo has the target directory, its folder for tests is in it.
        let image = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-image").join(image);
        if !image.exists() {
            skip(&format!("needs a guest: {made_by}"));
            return None;
        }
        if let Some(why) = without_qemu() {
            skip(&why);
            return None;
        }
        Some(Self { service: Some(Service::start_in(sandbox, options)), image, identity: Identity::new() })
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
        let data = service.daemon.data.clone();
        drop(service.daemon);
        end_machines(&data);
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

/// What `info` tells of the one instance.
async fn info(peer: &mut Peer, no_runtime_information: bool) -> (DetailedInfoItem, InstanceDetails) {
    let request = InfoRequest { no_runtime_information, ..Default::default() };
    let mut item = all(peer.rpc.info(one(request))).await.unwrap().remove(0).details.remove(0);
    let Some(ExtraInfo::InstanceInfo(told)) = item.extra_info.take() else { panic!("{item:?}") };
    (item, told)
}

/// That of a guest which is up. One with much to do may not answer the first time.
async fn what_a_guest_tells(peer: &mut Peer) -> InstanceDetails {
    let (unasked, told) = info(peer, true).await;
    assert_eq!((unasked.memory_total.as_str(), told.load.as_str()), ("134217728", ""));
    let until = Instant::now() + DEADLINE;
    loop {
        let (item, told) = info(peer, false).await;
        if !told.load.is_empty() {
            let number = |text: &str| text.parse::<u64>().unwrap();
            // Less than the machine has: the kernel, and the file system, take their part.
            let (memory, disk) = (number(&item.memory_total), number(&item.disk_total));
            assert!(number(&told.memory_usage) < memory && memory < 128 << 20, "{item:?} {told:?}");
            assert!(number(&told.disk_usage) < disk && disk < 512 << 20, "{item:?} {told:?}");
            return told;
        }
        assert!(Instant::now() < until, "the guest does not tell of itself: {item:?}");
    }
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

    let told = what_a_guest_tells(&mut peer).await;
    assert_eq!(told.current_release, "Multipass test guest 1");
    assert_eq!(told.ipv4, ["10.0.2.15"]);
    let loads: Vec<f64> = told.load.split(' ').map(|load| load.parse().unwrap()).collect();
    assert!(loads.len() == 3 && loads.iter().all(|load| (0.0..100.0).contains(load)), "{told:?}");

    stop(&mut peer).await;
    let (item, told) = info(&mut peer, false).await;
    assert_eq!((item.memory_total.as_str(), item.disk_total.as_str()), ("134217728", "536870912"));
    assert_eq!((told.current_release.as_str(), told.load.as_str(), told.ipv4.len()), ("", "", 0));
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
    let told = || run(&user, &["info", "web"]).stdout.contains("Release:        Multipass test guest 1\n");
    wait_until("the guest tells of itself", DEADLINE, told).unwrap();
    for (format, expected) in [
        ("table", "IPv4:           10.0.2.15\n"),
        ("csv", "\nweb,Running,,,10.0.2.15,Multipass test guest 1,"),
        ("json", "\"release\": \"Multipass test guest 1\""),
        ("yaml", "    release: Multipass test guest 1\n"),
    ] {
        let shown = || run(&user, &["info", "web", "--format", format]).stdout.contains(expected);
        wait_until(format, DEADLINE, shown).unwrap();
    }
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
