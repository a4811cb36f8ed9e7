//! What each command makes of instances that are there.

use rpc::detailed_info_item::ExtraInfo;
use rpc::{
    DeleteRequest, InfoRequest, PurgeRequest, RecoverRequest, RestartRequest, SshInfoRequest, StartRequest,
    StopRequest, SuspendRequest,
};

use super::fixture::{MachinesFixture, all, named, pairs};
use crate::support::request;

#[tokio::test]
async fn an_instance_goes_through_its_life() {
    let mut fixture = MachinesFixture::with(&["web"]).await;
    assert_eq!(fixture.states().await, ["web Running"]);
    let mut client = fixture.client.clone();
    let names = named(&["web"]);

    let stop = StopRequest { instance_names: names.clone(), ..Default::default() };
    all(client.stop(request(stop))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Stopped"]);
    let start = StartRequest { instance_names: names.clone(), ..Default::default() };
    let replies = all(client.start(request(start.clone()))).await.unwrap();
    assert_eq!(replies[0].reply_message, "Starting web");
    assert_eq!(fixture.states().await, ["web Running"]);
    let suspend = SuspendRequest { instance_names: names.clone(), ..Default::default() };
    all(client.suspend(request(suspend))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Suspended"]);
    all(client.start(request(start))).await.unwrap();
    let restart = RestartRequest { instance_names: names.clone(), ..Default::default() };
    all(client.restart(request(restart))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Running"]);

    let delete = DeleteRequest { instance_snapshot_pairs: pairs(&["web"]), ..Default::default() };
    let replies = all(client.delet(request(delete.clone()))).await.unwrap();
    assert_eq!(replies[0].purged_instances, [""; 0]);
    assert_eq!(fixture.states().await, ["web Deleted"]);
    let recover = RecoverRequest { instance_names: names, ..Default::default() };
    all(client.recover(request(recover))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Stopped"]);
    all(client.delet(request(delete))).await.unwrap();
    let replies = all(client.purge(request(PurgeRequest::default()))).await.unwrap();
    assert_eq!(replies[0].purged_instances, ["web"]);
    fixture.until_nothing_is_left().await;
}

#[tokio::test]
async fn without_names_all_are_meant() {
    let mut fixture = MachinesFixture::with(&["a", "b", "c"]).await;
    let mut client = fixture.client.clone();
    let delete = DeleteRequest { instance_snapshot_pairs: pairs(&["c"]), ..Default::default() };
    all(client.delet(request(delete))).await.unwrap();
    all(client.stop(request(StopRequest::default()))).await.unwrap();
    assert_eq!(fixture.states().await, ["a Stopped", "b Stopped", "c Deleted"]);
    all(client.start(request(StartRequest::default()))).await.unwrap();
    assert_eq!(fixture.states().await, ["a Running", "b Running", "c Deleted"]);
    all(client.recover(request(RecoverRequest::default()))).await.unwrap();
    assert_eq!(fixture.states().await, ["a Running", "b Running", "c Stopped"]);
    let details = all(client.info(request(InfoRequest::default()))).await.unwrap().remove(0).details;
    assert_eq!(details.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let delete = DeleteRequest { purge: true, ..Default::default() };
    let replies = all(client.delet(request(delete))).await.unwrap();
    assert_eq!(replies[0].purged_instances, ["a", "b", "c"]);
    fixture.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_shutdown_that_is_to_come_is_shown_and_called_off() {
    let mut fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    let later = StopRequest { instance_names: named(&["web"]), time_minutes: 5, ..Default::default() };
    all(client.stop(request(later))).await.unwrap();
    assert_eq!(fixture.states().await, ["web DelayedShutdown"]);
    let cancel = StopRequest { instance_names: named(&["web"]), cancel_shutdown: true, ..Default::default() };
    all(client.stop(request(cancel))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Running"]);
    let force = StopRequest { instance_names: named(&["web"]), force_stop: true, ..Default::default() };
    all(client.stop(request(force))).await.unwrap();
    assert_eq!(fixture.states().await, ["web Stopped"]);
    assert!(fixture.driver.done().contains(&instances::testkit::Step::Force));
}

#[tokio::test]
async fn info_tells_what_is_known_without_asking_the_guest() {
    let mut fixture = MachinesFixture::new().await;
    let wish = rpc::LaunchRequest {
        num_cores: 2,
        mem_size: "512M".to_owned(),
        disk_space: "3G".to_owned(),
        ..fixture.wish("web")
    };
    fixture.launch(wish).await.unwrap();
    let asked = InfoRequest { instance_snapshot_pairs: pairs(&["web"]), ..Default::default() };
    let mut replies = all(fixture.client.info(request(asked))).await.unwrap();
    let item = replies.remove(0).details.remove(0);
    assert_eq!(item.instance_status.unwrap().status(), rpc::instance_status::Status::Running);
    assert_eq!((item.cpu_count.as_str(), item.memory_total.as_str()), ("2", "536870912"));
    assert_eq!(item.disk_total, "3221225472");
    let Some(ExtraInfo::InstanceInfo(details)) = item.extra_info else { panic!("no details") };
    assert_eq!((details.image_release.as_str(), details.id.len()), ("disk.img", 64));
    assert_eq!(details.num_snapshots, Some(0));
    assert!(details.creation_timestamp.unwrap().seconds > 1_600_000_000);

    let found = all(fixture.client.find(request(rpc::FindRequest::default()))).await.unwrap().remove(0);
    assert_eq!(found.images_info.len(), 1);
    assert_eq!(found.images_info[0].aliases, [details.id[..12].to_owned()]);
    let networks = all(fixture.client.networks(request(rpc::NetworksRequest::default()))).await.unwrap();
    assert_eq!(networks[0].interfaces, []);
}

#[tokio::test]
async fn a_client_on_the_same_machine_is_given_what_opens_a_guest() {
    let fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    let asked = SshInfoRequest { instance_name: vec!["web".to_owned()], ..Default::default() };
    let reply = all(client.ssh_info(request(asked))).await.unwrap().remove(0);
    let info = &reply.ssh_info["web"];
    assert_eq!((info.host.as_str(), info.port, info.username.as_str()), ("127.0.0.1", 2222, "ubuntu"));
    assert!(info.priv_key_base64.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
}
