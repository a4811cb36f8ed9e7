//! The settings of instances and their driver.

use rpc::{GetRequest, KeysRequest, SetRequest, StopRequest};
use tonic::{Code, Status};

use super::fixture::{MachinesFixture, all};
use crate::support::request;

async fn get(fixture: &MachinesFixture, key: &str) -> Result<String, Status> {
    let mut client = fixture.client.clone();
    let asked = GetRequest { key: key.to_owned(), ..Default::default() };
    Ok(all(client.get(request(asked))).await?.remove(0).value)
}

async fn set(fixture: &MachinesFixture, key: &str, value: &str) -> Result<(), Status> {
    let mut client = fixture.client.clone();
    let mut asked = SetRequest::default();
    asked.key = key.to_owned();
    asked.val = value.to_owned();
    all(client.set(request(asked))).await.map(drop)
}

#[tokio::test]
async fn how_much_an_instance_gets_is_told_and_changed_while_it_is_stopped() {
    let fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    assert_eq!(get(&fixture, "local.driver").await.unwrap(), "memory");
    let keys = all(client.keys(request(KeysRequest::default()))).await.unwrap().remove(0).settings_keys;
    for key in ["local.web.cpus", "local.web.disk", "local.web.memory", "local.passphrase"] {
        assert!(keys.contains(&key.to_owned()), "{keys:?}");
    }
    for (key, before, value, after) in [
        ("local.web.cpus", "1", "3", "3"),
        ("local.web.memory", "1.0GiB", "2G", "2.0GiB"),
        ("local.web.disk", "5.0GiB", "6G", "6.0GiB"),
    ] {
        all(client.start(request(rpc::StartRequest::default()))).await.unwrap();
        assert_eq!(get(&fixture, key).await.unwrap(), before);
        let status = set(&fixture, key, value).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains("must be stopped"), "{status:?}");
        all(client.stop(request(StopRequest::default()))).await.unwrap();
        set(&fixture, key, value).await.unwrap();
        assert_eq!(get(&fixture, key).await.unwrap(), after);
    }
}

#[tokio::test]
async fn what_is_no_setting_or_no_value_is_refused() {
    let fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    all(client.stop(request(StopRequest::default()))).await.unwrap();
    for (key, value, code, words) in [
        ("local.web.cpus", "0", Code::InvalidArgument, "not a valid number of CPUs"),
        ("local.web.memory", "1", Code::InvalidArgument, "not a valid memory size"),
        ("local.web.disk", "x", Code::InvalidArgument, "not a valid disk size"),
        ("local.web.disk", "1G", Code::InvalidArgument, "a disk can only be made larger"),
        ("local.web.speed", "1", Code::InvalidArgument, "Unrecognized settings key: 'local.web.speed'"),
        ("local.1.cpus", "1", Code::InvalidArgument, "Unrecognized settings key"),
        ("local.nosuch.cpus", "1", Code::NotFound, "instance \"nosuch\" does not exist"),
        ("local.driver", "lxd", Code::FailedPrecondition, "'local.driver' cannot be set"),
        // Clients would not send these as passphrases.
        ("local.passphrase", "mpt1_open", Code::InvalidArgument, "begins as a token does"),
        ("local.passphrase", " MPT20_", Code::InvalidArgument, "begins as a token does"),
        ("local.passphrase", &"x".repeat(1025), Code::InvalidArgument, "choose another one"),
    ] {
        let status = set(&fixture, key, value).await.unwrap_err();
        assert_eq!(status.code(), code, "{key}: {status:?}");
        assert!(status.message().contains(words), "{key}: {status:?}");
    }
    let status = get(&fixture, "local.nosuch.cpus").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}
