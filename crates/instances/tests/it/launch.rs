//! `launch`: an instance is made, or nothing is.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use instances::testkit::{Fault, Step};
use instances::{
    Digest, DiskSize, ImageSource, ImageStoreError, InstanceError, InstanceState, Launch, MachineState,
    Progress, RegistryError,
};
use test_servers::{Say, Server};
use tokio::net::TcpListener;

use crate::images::{disk, files};
use crate::world::{World, launch, name, now, reports, silent, source};

#[tokio::test]
async fn an_instance_is_made_and_started_and_waited_for() {
    let world = World::new().await;
    let (report, reported) = reports();
    let wanted = Launch { cpus: "2".parse().unwrap(), ..launch("web") };
    assert_eq!(world.instances.launch(wanted, now(), report).await.unwrap(), name("web"));
    assert_eq!(world.driver.done(), [Step::Prepare, Step::Start, Step::Reachable]);
    let expected = [
        Progress::Image { done: 4096, total: Some(4096) },
        Progress::Creating(name("web")),
        Progress::Starting(name("web")),
        Progress::Waiting(name("web")),
    ];
    assert_eq!(*reported.lock().unwrap(), expected);

    let overview = world.instances.info(&name("web")).await.unwrap();
    assert_eq!((overview.state, overview.spec.cpus.get()), (InstanceState::Running, 2));
    assert_eq!((overview.created, overview.image), (now(), Digest::of(&disk(1, 4096))));
    let (machine, state) = world.driver.machines().remove(0);
    assert_eq!((machine.id, state), (overview.id, MachineState::Running));
    assert_eq!(machine.directory, world.root().join("web/machine"));
    assert_eq!(fs::read(&machine.image.path).unwrap(), disk(1, 4096));
    let seed = fs::read_to_string(machine.directory.join("seed")).unwrap();
    assert!(seed.contains("local-hostname: web\n") && seed.contains(&overview.id.to_string()), "{seed}");

    let access = world.instances.connect(&name("web")).await.unwrap();
    let key = String::from_utf8(access.client_key.to_vec()).unwrap();
    let public = ssh_key::PrivateKey::from_openssh(key).unwrap().public_key().to_openssh().unwrap();
    assert!(seed.contains(&public), "the key that opens it is the one that it was told of");
    assert!(access.host_key.starts_with("ssh-ed25519 ") && access.host_key != public);
}

#[tokio::test]
async fn a_name_is_given_once_and_a_friendly_one_if_there_is_none() {
    let world = World::new().await;
    world.launch("web").await.unwrap();
    let error = world.launch("web").await.unwrap_err();
    assert!(matches!(error, InstanceError::Registry(RegistryError::Exists(_))), "{error:?}");
    assert_eq!(error.to_string(), "instance \"web\" already exists; give another name");
    let mut names = BTreeSet::new();
    for _ in 0..5 {
        assert!(names.insert(world.launch("").await.unwrap()));
    }
    assert_eq!(world.states().await.len(), 6);
}

#[tokio::test]
async fn a_disk_is_as_large_as_asked_or_as_the_image_needs() {
    const MIB: u64 = 1 << 20;
    // qcow2, of a disk that is larger than the usual one.
    let mut large = vec![0; 4 << 16];
    let mut put = |at: usize, field: &[u8]| large[at..at + field.len()].copy_from_slice(field);
    put(0, b"QFI\xfb\0\0\0\x02");
    put(20, &16_u32.to_be_bytes());
    put(24, &(6000 * MIB).to_be_bytes());
    put(36, &12_u32.to_be_bytes());
    put(40, &(3_u64 << 16).to_be_bytes());
    put(48, &(1_u64 << 16).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    let size = |mib: u64| DiskSize::from_bytes(mib * MIB).unwrap();
    let world = World::new().await;
    for (number, (bytes, asked, expected)) in [
        (disk(1, 4096), None, Ok(DiskSize::DEFAULT)),
        (disk(1, 4096), Some(size(512)), Ok(size(512))),
        (large.clone(), None, Ok(size(6000))),
        (large.clone(), Some(size(6000)), Ok(size(6000))),
        (
            large.clone(),
            Some(size(5999)),
            Err("a disk of 5.8GiB is smaller than the image's, which has 5.8GiB"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("i{number}");
        let wanted = Launch { source: source(&bytes), disk: asked, ..launch(&text) };
        let made = world.instances.launch(wanted, now(), silent()).await;
        match expected {
            Ok(expected) => {
                let overview = world.instances.info(&made.unwrap()).await.unwrap();
                assert_eq!(overview.spec.disk, expected, "row {number}");
            }
            Err(why) => {
                let error = made.unwrap_err().to_string();
                assert!(error.starts_with(why), "row {number}: {error}");
                assert!(!world.root().join(text).exists());
            }
        }
    }
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    for step in [Step::Prepare, Step::Start, Step::Reachable] {
        let what = format!("{step:?}");
        let world = World::new().await;
        world.driver.set(step, Some(Fault::Hangs));
        tokio::select! {
            made = world.launch("web") => panic!("{what}: {made:?}"),
            () = world.driver.begun(step) => {}
        }
        // Whoever asked is gone.
        world.instances.settle().await;
        world.assert_nothing_is_left(&what).await;
        world.driver.set(step, None);
        let world = world.restart().await;
        world.launch("web").await.unwrap();
    }
}

#[tokio::test]
async fn a_download_that_is_given_up_leaves_no_instance() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap()).parse().unwrap();
    let wanted = Launch { source: ImageSource::Url(url), ..launch("web") };
    tokio::select! {
        made = world.instances.launch(wanted, now(), silent()) => panic!("{made:?}"),
        // It is asked, and says nothing.
        stream = listener.accept() => drop(stream.unwrap()),
    }
    world.instances.settle().await;
    world.assert_nothing_is_left("a download").await;
}

#[tokio::test]
async fn a_copy_that_is_given_up_leaves_nothing() {
    let world = World::new().await;
    let reached = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&reached);
    // The copy waits until the sender is dropped.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let report = Arc::new(move |progress| {
        if matches!(progress, Progress::Image { .. }) {
            told.notify_one();
            held.lock().unwrap().recv().unwrap_err();
        }
    });
    let wanted = Launch { source: source(&disk(1, 1 << 20)), ..launch("web") };
    tokio::select! {
        made = world.instances.launch(wanted, now(), report) => panic!("{made:?}"),
        () = reached.notified() => {}
    }
    drop(hold);
    world.instances.settle().await;
    world.assert_nothing_is_left("a copy").await;
    assert_eq!(files(&world.images()), ["lock"]);
}

#[tokio::test]
async fn what_fails_leaves_nothing() {
    for (step, fault, why) in [
        (Step::Prepare, Fault::Fails, "instance \"web\": cannot do Prepare"),
        (Step::Prepare, Fault::NoSpace, "instance \"web\": no space is left on the host's disk"),
        (Step::Start, Fault::Fails, "instance \"web\": cannot do Start"),
        (Step::Reachable, Fault::Fails, "instance \"web\" stopped before it was up: cannot do Reachable"),
    ] {
        let world = World::new().await;
        world.driver.set(step, Some(fault));
        let error = world.launch("web").await.unwrap_err().to_string();
        assert!(error.starts_with(why), "{step:?}: {error}");
        world.assert_nothing_is_left(why).await;
    }
    let wrong = Some(Digest::of(b"another"));
    for (bytes, expected, why) in [
        (b"no image".to_vec(), None, "that is not a disk image"),
        (disk(1, 4096), wrong, "the image's SHA-256 checksum is"),
        (disk(1, (8 << 20) + 512), None, "the image has more than"),
    ] {
        let world = World::new().await;
        let wanted = Launch { source: source(&bytes), expected, ..launch("web") };
        let error = world.instances.launch(wanted, now(), silent()).await.unwrap_err();
        assert!(matches!(error, InstanceError::Images(_)), "{error:?}");
        assert!(error.to_string().starts_with(why), "{error}");
        world.assert_nothing_is_left(why).await;
        assert_eq!(files(&world.images()), ["lock"], "{why}");
    }
    let world = World::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{listener}/image").parse().unwrap();
    let wanted = Launch { source: ImageSource::Url(url), ..launch("web") };
    let error = world.instances.launch(wanted, now(), silent()).await.unwrap_err();
    assert!(matches!(error, InstanceError::Images(ImageStoreError::Fetch(_))), "{error:?}");
    world.assert_nothing_is_left("nobody listens").await;
}

/// What a machine that cannot be ended still uses is not removed while it runs.
#[tokio::test]
async fn what_cannot_be_undone_is_kept_until_the_next_start() {
    let world = World::new().await;
    world.driver.set(Step::Prepare, Some(Fault::Fails));
    world.driver.set(Step::Delete, Some(Fault::Fails));
    world.launch("web").await.unwrap_err();
    assert_eq!(files(&world.root()).len(), 2, "lock, and what was begun");
    world.driver.set(Step::Prepare, None);
    world.driver.set(Step::Delete, None);
    let world = world.restart().await;
    world.assert_nothing_is_left("after the restart").await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_not_up_in_time_goes_on_starting() {
    let world = World::new().await;
    world.driver.set(Step::Reachable, Some(Fault::Hangs));
    let wanted = Launch { timeout: Some(Duration::from_secs(30)), ..launch("web") };
    let error = world.instances.launch(wanted, now(), silent()).await.unwrap_err();
    assert!(matches!(error, InstanceError::TimedOut(_)), "{error:?}");
    assert!(error.to_string().starts_with("timed out waiting for instance \"web\""), "{error}");
    assert_eq!(world.state("web").await, InstanceState::Starting);
    let error = world.instances.connect(&name("web")).await.unwrap_err().to_string();
    assert!(error.starts_with("instance \"web\" is still starting"), "{error}");
    let error = world.instances.start(&name("web"), Some(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, InstanceError::TimedOut(_)), "{error:?}");

    let web = name("web");
    let (waited, ()) = tokio::join!(world.instances.start(&web, None), async {
        world.driver.set(Step::Reachable, None);
    });
    waited.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Running);
}

#[tokio::test]
async fn whoever_stops_it_before_it_is_up_keeps_it() {
    let world = World::new().await;
    world.driver.set(Step::Reachable, Some(Fault::Hangs));
    let (made, ()) = tokio::join!(world.launch("web"), async {
        world.driver.begun(Step::Reachable).await;
        world.instances.force_stop(&name("web")).await.unwrap();
    });
    let error = made.unwrap_err().to_string();
    assert!(error.ends_with("it was stopped"), "{error}");
    assert_eq!(world.state("web").await, InstanceState::Stopped);
}

#[tokio::test]
async fn a_server_that_is_slow_holds_up_no_image_that_is_here() {
    let world = World::new().await;
    let server = Server::start(|_| Say::bytes("").then_keeps_silent());
    let url: fetch::Url = format!("http://127.0.0.1:{}/image", server.port()).parse().unwrap();
    let slow = |name| Launch { source: ImageSource::Url(url.clone()), ..launch(name) };
    let [a, b, c] = ["a", "b", "c"].map(|name| world.instances.launch(slow(name), now(), silent()));
    tokio::select! {
        ended = async { tokio::join!(a, b, c) } => panic!("{ended:?}"),
        made = async {
            while server.requests().is_empty() {
                tokio::task::yield_now().await;
            }
            world.launch("here").await
        } => drop(made.unwrap()),
    }
    assert_eq!(world.states().await.into_keys().collect::<Vec<_>>(), ["here"]);
}

#[tokio::test]
async fn so_many_are_made_at_once_and_no_more() {
    let world = World::new().await;
    world.driver.set(Step::Prepare, Some(Fault::Hangs));
    let launches = async { tokio::join!(world.launch("a"), world.launch("b"), world.launch("c")) };
    let watch = async {
        // Two are let in; the third has not even a directory.
        while files(&world.root()).len() < 3 {
            tokio::task::yield_now().await;
        }
        world.driver.begun(Step::Prepare).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(files(&world.root()).len(), 3);
        world.driver.set(Step::Prepare, None);
    };
    let ((a, b, c), ()) = tokio::join!(launches, watch);
    for made in [a, b, c] {
        made.unwrap();
    }
    assert_eq!(world.states().await.len(), 3);
}
