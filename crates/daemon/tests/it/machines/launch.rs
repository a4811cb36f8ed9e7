//! `launch`: what it tells while it is at work, and what becomes of it when its caller goes.

use std::time::Duration;

use instances::testkit::{Fault, Step};
use rpc::launch_reply::CreateOneof;
use tonic::Code;

use super::fixture::MachinesFixture;
use crate::support::request;

#[tokio::test]
async fn a_launch_tells_how_far_it_is_and_last_the_name() {
    let mut fixture = MachinesFixture::new().await;
    for (asked, is_friendly) in [("web", false), ("", true)] {
        let replies = fixture.launch(fixture.wish(asked)).await.unwrap();
        let told: Vec<CreateOneof> = replies.into_iter().map(|reply| reply.create_oneof.unwrap()).collect();
        let (last, rest) = told.split_last().unwrap();
        let CreateOneof::VmInstanceName(name) = last else { panic!("{last:?}") };
        assert_eq!((name.contains('-'), name == asked), (is_friendly, !is_friendly), "{name}");
        let percents: Vec<&str> = rest
            .iter()
            .filter_map(|one| match one {
                CreateOneof::LaunchProgress(progress) => Some(progress.percent_complete.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(percents.last(), Some(&"100"), "{rest:?}");
        let said = |words: String| rest.contains(&CreateOneof::CreateMessage(words));
        assert!(said(format!("Creating {name}")) && said(format!("Starting {name}")), "{rest:?}");
    }
}

#[tokio::test]
async fn a_launch_whose_caller_resets_it_is_given_up() {
    for step in [Step::Prepare, Step::Start, Step::Reachable] {
        let mut fixture = MachinesFixture::new().await;
        fixture.driver.set(step, Some(Fault::Hangs));
        let mut client = fixture.client.clone();
        let replies = client.launch(request(fixture.wish("web"))).await.unwrap();
        fixture.driver.begun(step).await;
        drop(replies);
        fixture.until_nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_launch_whose_caller_is_revoked_ends_soon_and_is_given_up() {
    let fixture = MachinesFixture::new().await;
    fixture.driver.set(Step::Reachable, Some(Fault::Hangs));
    let mut client = fixture.client.clone();
    let mut replies = client.launch(request(fixture.wish("web"))).await.unwrap().into_inner();
    fixture.driver.begun(Step::Reachable).await;
    fixture.service.revoke_all();
    let ended = async { while let Ok(Some(_)) = replies.message().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the stream should end");
    let gone = async {
        while !fixture.driver.machines().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("nothing should be left");
}

#[tokio::test]
async fn an_instance_that_is_not_up_in_time_is_there() {
    let mut fixture = MachinesFixture::new().await;
    fixture.driver.set(Step::Reachable, Some(Fault::Hangs));
    let wish = rpc::LaunchRequest { timeout: 1, ..fixture.wish("slow") };
    let status = fixture.launch(wish).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("timed out waiting for instance \"slow\""), "{status:?}");
    assert_eq!(fixture.states().await, ["slow Starting"]);
}

#[tokio::test]
async fn a_machine_that_does_not_start_leaves_nothing() {
    let mut fixture = MachinesFixture::new().await;
    for (step, fault, code) in [
        (Step::Start, Fault::Fails, Code::Internal),
        (Step::Start, Fault::NoSpace, Code::ResourceExhausted),
        (Step::Prepare, Fault::NoSpace, Code::ResourceExhausted),
    ] {
        fixture.driver.set(step, Some(fault));
        let status = fixture.launch(fixture.wish("web")).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        fixture.until_nothing_is_left().await;
        fixture.driver.set(step, None);
    }
}
