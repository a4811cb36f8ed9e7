//! The commands on instances that are there, over a driver that sometimes fails or hangs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use instances::testkit::{Fault, Step};
use instances::{DiskSize, InstanceError, InstanceState, MachineState, SpecChange};

use crate::images::{disk, files};
use crate::world::{World, launch, name, now, silent, source};

/// The steps of the driver since the launch.
fn steps(world: &World) -> Vec<Step> {
    world.driver.done().split_off(3)
}

#[tokio::test]
async fn each_command_does_what_it_says() {
    use InstanceState::{Deleted, Running, Stopped, Suspended};
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    all.start(&web, None).await.unwrap();
    assert_eq!((world.state("web").await, steps(&world).len()), (Running, 0));
    all.restart(&web, None).await.unwrap();
    assert_eq!(world.state("web").await, Running);
    all.suspend(&web).await.unwrap();
    assert_eq!(world.state("web").await, Suspended);
    all.suspend(&web).await.unwrap();
    all.start(&web, None).await.unwrap();
    assert_eq!(world.state("web").await, Running);
    all.stop(&web).await.unwrap();
    assert_eq!(world.state("web").await, Stopped);
    all.stop(&web).await.unwrap();
    all.start(&web, None).await.unwrap();
    all.force_stop(&web).await.unwrap();
    assert_eq!(world.state("web").await, Stopped);
    all.start(&web, None).await.unwrap();
    all.delete(&web).await.unwrap();
    assert_eq!(world.state("web").await, Deleted);
    all.delete(&web).await.unwrap();
    all.recover(&web).await.unwrap();
    assert_eq!(world.state("web").await, Stopped);
    all.start(&web, None).await.unwrap();
    assert_eq!(
        steps(&world),
        [
            Step::Restart,
            Step::Reachable,
            Step::Suspend,
            Step::Resume,
            Step::Reachable,
            Step::Shutdown,
            Step::Start,
            Step::Reachable,
            Step::Force,
            Step::Start,
            Step::Reachable,
            Step::Force,
            Step::Start,
            Step::Reachable,
        ]
    );
}

#[tokio::test]
async fn what_a_state_does_not_allow_is_refused_and_does_nothing() {
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    let nobody = name("nobody");
    for result in [
        all.start(&nobody, None).await,
        all.stop(&nobody).await,
        all.force_stop(&nobody).await,
        all.delete(&nobody).await,
        all.delete_for_good(&nobody).await,
        all.set(&nobody, SpecChange::Cpus("2".parse().unwrap())).await,
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "instance \"nobody\" does not exist");
        assert!(error.is_missing());
    }
    all.suspend(&web).await.unwrap();
    let error = all.stop(&web).await.unwrap_err().to_string();
    assert!(error.starts_with("instance \"web\" is suspended"), "{error}");
    all.delete(&web).await.unwrap();
    for result in [
        all.start(&web, None).await,
        all.restart(&web, None).await,
        all.stop(&web).await,
        all.force_stop(&web).await,
        all.suspend(&web).await,
        all.connect(&web).await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with("Instance 'web' is deleted."), "{error}");
    }
    assert_eq!(steps(&world), [Step::Suspend]);
    all.recover(&web).await.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Suspended, "nothing was forgotten");
}

#[tokio::test]
async fn what_a_command_is_doing_is_shown() {
    for (step, expected) in [
        (Step::Restart, InstanceState::Restarting),
        (Step::Suspend, InstanceState::Suspending),
        (Step::Start, InstanceState::Starting),
        (Step::Shutdown, InstanceState::Running),
    ] {
        let world = World::with("web").await;
        let (all, web) = (&world.instances, name("web"));
        if step == Step::Start {
            all.stop(&web).await.unwrap();
        }
        world.driver.set(step, Some(Fault::Hangs));
        let command = async {
            match step {
                Step::Restart => all.restart(&web, None).await,
                Step::Suspend => all.suspend(&web).await,
                Step::Start => all.start(&web, None).await,
                _ => all.stop(&web).await,
            }
        };
        let (done, ()) = tokio::join!(command, async {
            world.driver.begun(step).await;
            assert_eq!(world.state("web").await, expected, "{step:?}");
            world.driver.set(step, None);
        });
        done.unwrap();
    }
}

#[tokio::test]
async fn a_restarted_guest_is_restarting_until_it_is_up() {
    let world = World::with("web").await;
    let web = name("web");
    world.driver.set(Step::Reachable, Some(Fault::Hangs));
    let (done, ()) = tokio::join!(world.instances.restart(&web, None), async {
        world.driver.begun(Step::Reachable).await;
        assert_eq!(world.state("web").await, InstanceState::Restarting);
        world.driver.set(Step::Reachable, None);
    });
    done.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Running);
}

#[tokio::test]
async fn what_was_begun_goes_on_without_its_caller() {
    let world = World::with("web").await;
    let web = name("web");
    world.driver.set(Step::Suspend, Some(Fault::Hangs));
    tokio::select! {
        done = world.instances.suspend(&web) => panic!("{done:?}"),
        () = world.driver.begun(Step::Suspend) => {}
    }
    world.driver.set(Step::Suspend, None);
    world.instances.settle().await;
    assert_eq!(world.state("web").await, InstanceState::Suspended);
}

#[tokio::test]
async fn commands_on_one_instance_wait_for_each_other_and_on_others_do_not() {
    let world = World::with("web").await;
    world.launch("other").await.unwrap();
    let (all, web) = (&world.instances, name("web"));
    world.driver.set(Step::Suspend, Some(Fault::Hangs));
    let (suspended, started, ()) = tokio::join!(all.suspend(&web), all.start(&web, None), async {
        world.driver.begun(Step::Suspend).await;
        all.stop(&name("other")).await.unwrap();
        world.driver.set(Step::Suspend, None);
    });
    suspended.unwrap();
    started.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Running);
    let done = world.driver.done().split_off(6);
    assert_eq!(done, [Step::Shutdown, Step::Suspend, Step::Resume, Step::Reachable]);
}

#[tokio::test]
async fn force_does_not_wait_for_a_guest_that_will_not_shut_down() {
    for delete in [false, true] {
        let world = World::with("web").await;
        let (all, web) = (&world.instances, name("web"));
        world.driver.set(Step::Shutdown, Some(Fault::Hangs));
        let (stopped, ()) = tokio::join!(all.stop(&web), async {
            world.driver.begun(Step::Shutdown).await;
            match delete {
                true => all.delete(&web).await.unwrap(),
                false => all.force_stop(&web).await.unwrap(),
            }
        });
        assert!(matches!(stopped, Err(InstanceError::Cancelled)), "{stopped:?}");
        assert_eq!(steps(&world), [Step::Force]);
    }
}

#[tokio::test]
async fn force_does_not_wait_for_a_state_that_is_kept_without_end() {
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    world.driver.set(Step::Suspend, Some(Fault::Hangs));
    let (suspended, ()) = tokio::join!(all.suspend(&web), async {
        world.driver.begun(Step::Suspend).await;
        all.force_stop(&web).await.unwrap();
    });
    assert!(matches!(suspended, Err(InstanceError::Cancelled)), "{suspended:?}");
    assert_eq!(steps(&world), [Step::Force]);
}

#[tokio::test]
async fn what_fails_is_told_and_the_true_state_shown() {
    for (step, fault, why, expected) in [
        (Step::Shutdown, Fault::Fails, "the guest has not shut down in time", InstanceState::Running),
        (Step::Suspend, Fault::NoSpace, "no space is left", InstanceState::Running),
        (Step::Restart, Fault::Fails, "cannot do Restart", InstanceState::Running),
        (Step::Force, Fault::Fails, "cannot do Force", InstanceState::Running),
    ] {
        let world = World::with("web").await;
        let (all, web) = (&world.instances, name("web"));
        world.driver.set(step, Some(fault));
        let done = match step {
            Step::Shutdown => all.stop(&web).await,
            Step::Suspend => all.suspend(&web).await,
            Step::Restart => all.restart(&web, None).await,
            _ => all.delete(&web).await,
        };
        let error = done.unwrap_err().to_string();
        assert!(error.starts_with("instance \"web\": ") && error.contains(why), "{step:?}: {error}");
        assert_eq!(world.state("web").await, expected, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_may_come_later_or_be_called_off() {
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    let later = Duration::from_secs(600);
    all.stop_later(&web, later).await.unwrap();
    assert_eq!(world.state("web").await, InstanceState::DelayedShutdown);
    all.cancel_stop(&web).await.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Running);
    tokio::time::sleep(2 * later).await;
    assert_eq!(world.state("web").await, InstanceState::Running);

    all.stop_later(&web, later).await.unwrap();
    // The last word counts.
    all.stop_later(&web, 2 * later).await.unwrap();
    tokio::time::sleep(later + later / 2).await;
    assert_eq!(world.state("web").await, InstanceState::DelayedShutdown);
    tokio::time::sleep(later).await;
    all.settle().await;
    assert_eq!(world.state("web").await, InstanceState::Stopped);
    assert_eq!(steps(&world), [Step::Shutdown]);
}

#[tokio::test]
async fn the_bin_is_emptied_of_all_that_can_be() {
    let world = World::with("a").await;
    for text in ["b", "c"] {
        world.launch(text).await.unwrap();
    }
    let all = &world.instances;
    all.delete(&name("a")).await.unwrap();
    all.delete(&name("b")).await.unwrap();
    world.driver.set(Step::Delete, Some(Fault::Fails));
    let purged = all.purge().await;
    assert_eq!((purged.gone.len(), purged.failed.len()), (0, 2));
    assert_eq!(world.state("a").await, InstanceState::Deleted);
    assert!(world.root().join("a/machine/disk").exists(), "what cannot be ended keeps its disk");
    world.driver.set(Step::Delete, None);
    let purged = all.purge().await;
    assert_eq!((purged.gone, purged.failed.len()), (vec![name("a"), name("b")], 0));
    assert_eq!(files(&world.root()), ["c", "lock"]);
    assert_eq!(world.states().await, BTreeMap::from([("c".to_owned(), InstanceState::Running)]));
    all.delete_for_good(&name("c")).await.unwrap();
    world.assert_nothing_is_left("deleted for good").await;
    // A name is free again, and it is another instance.
    world.launch("a").await.unwrap();
}

#[tokio::test]
async fn an_instance_is_changed_while_it_is_stopped() {
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    let larger = DiskSize::from_bytes(6 << 30).unwrap();
    let changes = [
        SpecChange::Cpus("3".parse().unwrap()),
        SpecChange::Memory("2G".parse().unwrap()),
        SpecChange::Disk(larger),
    ];
    for change in changes {
        let error = all.set(&web, change).await.unwrap_err().to_string();
        assert!(error.starts_with("instance \"web\" must be stopped"), "{error}");
    }
    all.stop(&web).await.unwrap();
    for change in changes {
        all.set(&web, change).await.unwrap();
    }
    let error = all.set(&web, SpecChange::Disk(DiskSize::DEFAULT)).await.unwrap_err();
    assert!(matches!(error, InstanceError::DiskShrinks { .. }), "{error:?}");
    world.driver.set(Step::GrowDisk, Some(Fault::NoSpace));
    all.set(&web, SpecChange::Disk(DiskSize::from_bytes(7 << 30).unwrap())).await.unwrap_err();
    world.driver.set(Step::GrowDisk, None);
    // Of the size that it has, nothing need be done.
    all.set(&web, SpecChange::Disk(larger)).await.unwrap();
    all.start(&web, None).await.unwrap();
    assert_eq!(steps(&world), [Step::Shutdown, Step::GrowDisk, Step::Start, Step::Reachable]);

    let world = world.restart().await;
    let spec = world.instances.info(&name("web")).await.unwrap().spec;
    assert_eq!((spec.cpus.get(), spec.memory.bytes(), spec.disk), (3, 2 << 30, larger));
    assert_eq!(world.driver.machines()[0].0.spec, spec);
}

#[tokio::test]
async fn after_a_restart_each_instance_is_in_its_true_state() {
    let world = World::with("running").await;
    for text in ["stopped", "suspended", "lost", "deleted", "undead"] {
        world.launch(text).await.unwrap();
    }
    let all = &world.instances;
    all.stop(&name("stopped")).await.unwrap();
    all.suspend(&name("suspended")).await.unwrap();
    all.delete(&name("deleted")).await.unwrap();
    all.delete(&name("undead")).await.unwrap();
    let id = |text: &str| {
        let machines = world.driver.machines();
        machines.iter().find(|(machine, _)| machine.name.as_str() == text).unwrap().0.id
    };
    world.driver.happens(id("lost"), MachineState::Unknown);
    // Somebody has started it, and was killed before it was written down.
    world.driver.happens(id("undead"), MachineState::Running);

    let world = world.restart().await;
    let expected = [
        ("running", InstanceState::Running),
        ("stopped", InstanceState::Stopped),
        ("suspended", InstanceState::Suspended),
        ("lost", InstanceState::Unknown),
        ("deleted", InstanceState::Deleted),
        ("undead", InstanceState::Deleted),
    ];
    assert_eq!(world.states().await, expected.map(|(name, state)| (name.to_owned(), state)).into());
    let machines = world.driver.machines();
    let undead = machines.iter().find(|(machine, _)| machine.name.as_str() == "undead").unwrap();
    assert_eq!(undead.1, MachineState::Off);
    world.instances.force_stop(&name("lost")).await.unwrap();
    assert_eq!(world.state("lost").await, InstanceState::Stopped);
}

/// Only the daemon that started it knew that its guest was not up.
#[tokio::test(start_paused = true)]
async fn after_a_restart_a_guest_that_does_not_answer_is_starting() {
    let world = World::with("web").await;
    world.driver.set(Step::Reachable, Some(Fault::Hangs));
    let world = world.restart().await;
    assert_eq!(world.state("web").await, InstanceState::Starting);
    let (web, all) = (name("web"), &world.instances);
    assert!(matches!(all.start(&web, Some(Duration::from_secs(1))).await, Err(InstanceError::TimedOut(_))));
    world.driver.set(Step::Reachable, None);
    all.start(&web, None).await.unwrap();
    assert_eq!(world.state("web").await, InstanceState::Running);
}

/// A QEMU that a guest has taken over may be silent: it must not hold up a new daemon once for each instance.
#[tokio::test(start_paused = true)]
async fn after_a_restart_machines_that_are_silent_are_waited_for_together() {
    let world = World::with("a").await;
    for text in ["b", "c"] {
        world.launch(text).await.unwrap();
    }
    world.driver.set(Step::Reattach, Some(Fault::Hangs));
    let before = tokio::time::Instant::now();
    let world = world.restart().await;
    let waited = before.elapsed();
    assert!((10..20).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(world.states().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_ends_by_itself_is_told_of() {
    let world = World::with("web").await;
    let (all, web) = (&world.instances, name("web"));
    all.stop_later(&web, Duration::from_secs(600)).await.unwrap();
    world.driver.happens(world.driver.machines()[0].0.id, MachineState::Off);
    assert_eq!(world.state("web").await, InstanceState::Stopped);
    while world.told.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*world.told.lock().unwrap(), ["web: it happened"]);
    // The shutdown that was to come is not one of its next life.
    while all.start(&web, None).await.is_err() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(world.state("web").await, InstanceState::Running);
}

#[tokio::test]
async fn an_image_stays_as_long_as_an_instance_uses_it() {
    let world = World::with("a").await;
    let other = instances::Launch { source: source(&disk(2, 4096)), ..launch("b") };
    world.instances.launch(other, now(), silent()).await.unwrap();
    let (all, tomorrow) = (&world.instances, SystemTime::now() + Duration::from_secs(86_400));
    assert_eq!(all.prune_images(tomorrow).await.unwrap(), []);
    all.delete(&name("a")).await.unwrap();
    assert_eq!(all.prune_images(tomorrow).await.unwrap(), [], "it may be recovered");
    all.purge().await;
    assert_eq!(all.prune_images(now()).await.unwrap(), [], "it was used a moment ago");
    assert_eq!(all.images().await.unwrap().len(), 2);
    assert_eq!(all.prune_images(tomorrow).await.unwrap().len(), 1);
    all.stop(&name("b")).await.unwrap();
    all.start(&name("b"), None).await.unwrap();
}
