//! What is refused, in which words and with which codes.

use prost::Message;
use rpc::launch_error::ErrorCodes;
use rpc::start_error::ErrorCode;
use rpc::{LaunchError, LaunchRequest, StartError, StartRequest, StopRequest, SuspendRequest};
use tonic::Code;

use super::fixture::{MachinesFixture, all, named};
use crate::support::{TestService, request};

#[tokio::test]
async fn a_launch_that_cannot_be_is_refused_and_leaves_nothing() {
    let mut fixture = MachinesFixture::new().await;
    std::fs::write(fixture.path("text"), "no image\n").unwrap();
    std::fs::create_dir(fixture.path("folder")).unwrap();
    let (wish, image) =
        (fixture.wish("web"), |address: String| LaunchRequest { image: address, ..fixture.wish("web") });
    let wrong_sum = format!("{}#sha256={}", fixture.address("disk.img"), "0".repeat(64));
    let invalid = Code::InvalidArgument;
    let wishes: Vec<(LaunchRequest, Code, &str, Option<ErrorCodes>)> = vec![
        (fixture.wish("1web"), invalid, "Invalid instance name supplied", Some(ErrorCodes::InvalidHostname)),
        (
            LaunchRequest { mem_size: "1X".into(), ..wish.clone() },
            invalid,
            "1X is not a valid memory size",
            Some(ErrorCodes::InvalidMemSize),
        ),
        (
            LaunchRequest { mem_size: "1M".into(), ..wish.clone() },
            invalid,
            "1M is not a valid memory size",
            Some(ErrorCodes::InvalidMemSize),
        ),
        (
            LaunchRequest { disk_space: "-1".into(), ..wish.clone() },
            invalid,
            "-1 is not a valid disk size",
            Some(ErrorCodes::InvalidDiskSize),
        ),
        (
            LaunchRequest { network_options: vec![Default::default()], ..wish.clone() },
            invalid,
            "--network",
            Some(ErrorCodes::InvalidNetwork),
        ),
        (
            LaunchRequest { zone: "zone1".into(), ..wish.clone() },
            invalid,
            "--zone",
            Some(ErrorCodes::ZoneUnavailable),
        ),
        (LaunchRequest { num_cores: -1, ..wish.clone() }, invalid, "not a valid number of CPUs", None),
        (
            LaunchRequest { cloud_init_user_data: "- a".into(), ..wish.clone() },
            invalid,
            "The cloud-init configuration",
            None,
        ),
        (image("noble".into()), Code::NotFound, "Unable to find an image matching \"noble\"", None),
        (image(String::new()), Code::NotFound, "no default image", None),
        (image("file://disk.img".into()), invalid, "is not the address of an image", None),
        (image("http://".into()), invalid, "is not the address of an image", None),
        (image(fixture.address("none")), invalid, "there is no such file", None),
        (image(fixture.address("folder")), invalid, "it is not a regular file", None),
        (image("file:///dev/null".into()), invalid, "it is not a regular file", None),
        (image(fixture.address("text")), invalid, "that is not a disk image", None),
        (image(wrong_sum), invalid, "checksum", None),
    ];
    for (wish, code, words, details) in wishes {
        let status = fixture.launch(wish.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(words), "{words}: {status:?}");
        let found = LaunchError::decode(status.details()).unwrap().error_codes;
        assert_eq!(found, details.map(i32::from).into_iter().collect::<Vec<_>>(), "{status:?}");
        fixture.until_nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_name_is_given_once() {
    let mut fixture = MachinesFixture::with(&["web"]).await;
    let status = fixture.launch(fixture.wish("web")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    assert!(status.message().contains("\"web\""), "{status:?}");
    assert_eq!(fixture.states().await, ["web Running"]);
}

#[tokio::test]
async fn what_is_not_there_keeps_the_others_as_they_are() {
    let mut fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    let names = named(&["web", "nosuch", "no\u{1b}such"]);
    let stop = StopRequest { instance_names: names.clone(), ..Default::default() };
    let status = all(client.stop(request(stop))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    assert!(status.message().contains("instance \"nosuch\" does not exist"), "{status:?}");
    assert!(status.message().contains(r#"instance "no\u{1b}such" does not exist"#), "{status:?}");
    assert_eq!(fixture.states().await, ["web Running"]);
}

#[tokio::test]
async fn why_an_instance_has_not_started_is_in_the_details() {
    let mut fixture = MachinesFixture::with(&["bin", "off"]).await;
    let mut client = fixture.client.clone();
    let pairs = super::fixture::pairs(&["bin"]);
    let delete = rpc::DeleteRequest { instance_snapshot_pairs: pairs, ..Default::default() };
    all(client.delet(request(delete))).await.unwrap();
    let force = StopRequest { instance_names: named(&["off"]), force_stop: true, ..Default::default() };
    all(client.stop(request(force))).await.unwrap();
    fixture.driver.set(instances::testkit::Step::Start, Some(instances::testkit::Fault::Fails));
    for (name, words, code) in [
        ("bin", "Instance 'bin' is deleted.", ErrorCode::InstanceDeleted),
        ("nosuch", "instance \"nosuch\" does not exist", ErrorCode::DoesNotExist),
        ("off", "instance \"off\"", ErrorCode::Other),
    ] {
        let start = StartRequest { instance_names: named(&[name]), ..Default::default() };
        let status = all(client.start(request(start))).await.unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        assert!(status.message().contains(words), "{status:?}");
        let details = StartError::decode(status.details()).unwrap().instance_errors;
        assert_eq!(details.into_iter().collect::<Vec<_>>(), [(name.to_owned(), i32::from(code))]);
    }
    assert_eq!(fixture.states().await, ["bin Deleted", "off Stopped"]);
}

#[tokio::test]
async fn a_state_that_does_not_allow_a_command_is_told() {
    let fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    all(client.stop(request(StopRequest::default()))).await.unwrap();
    let suspend = SuspendRequest { instance_names: named(&["web"]), ..Default::default() };
    let status = all(client.suspend(request(suspend))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("instance \"web\" is not running"), "{status:?}");
    for wrong in [
        StopRequest { time_minutes: -1, ..Default::default() },
        StopRequest { time_minutes: 1, force_stop: true, ..Default::default() },
    ] {
        let status = all(client.stop(request(wrong))).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
}

#[tokio::test]
async fn without_a_driver_each_call_says_so() {
    let service = TestService::start(auth_core::testkit::MemoryStore::new()).await;
    let mut client = service.client().await;
    let list = all(client.list(request(rpc::ListRequest::default()))).await.unwrap();
    let words = "has no driver to run instances with: the test needs none";
    assert!(list[0].log_line.contains(words), "{list:?}");
    let statuses = [
        all(client.launch(request(LaunchRequest::default()))).await.unwrap_err(),
        all(client.start(request(StartRequest::default()))).await.unwrap_err(),
        all(client.stop(request(StopRequest::default()))).await.unwrap_err(),
        all(client.find(request(rpc::FindRequest::default()))).await.unwrap_err(),
        all(client.purge(request(rpc::PurgeRequest::default()))).await.unwrap_err(),
        all(client.ssh_info(request(rpc::SshInfoRequest::default()))).await.unwrap_err(),
    ];
    for status in statuses {
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains(words), "{status:?}");
    }
}
