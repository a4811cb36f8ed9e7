//! What a trusted client may send and is sent back: bytes, names, and what is repeated to it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use auth_core::testkit::MemoryStore;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use rpc::rpc_client::RpcClient;
use rpc::{FindRequest, GetRequest, InfoRequest, LaunchRequest, SshInfoRequest, StartRequest, StopRequest};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tower_service::Service as _;

use super::fixture::{MachinesFixture, all, named, pairs};
use crate::support::{ORIGIN, TestConnection, TestService, one, request};

/// For what is to happen.
const SOON: Duration = Duration::from_secs(20);
/// The documented bounds: bytes of a request, bytes of one client's requests, names in a request, failures told.
const LARGEST: usize = 64 * 1024;
const MOST_BYTES: usize = 8 * 1024 * 1024;
const MOST_NAMES: usize = 1000;
const MOST_TOLD: usize = 16;

/// A search with so many bytes in its message.
fn search(bytes: usize) -> FindRequest {
    // One byte says what it is and, from 16 KiB on, three how long.
    FindRequest { search_string: "a".repeat(bytes - 4), ..Default::default() }
}

#[tokio::test]
async fn a_request_is_small_unless_it_carries_a_file() {
    let mut fixture = MachinesFixture::new().await;
    assert_eq!(prost::Message::encoded_len(&search(LARGEST)), LARGEST);
    all(fixture.client.find(request(search(LARGEST)))).await.unwrap();
    let status = all(fixture.client.find(request(search(LARGEST + 1)))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("more than 65536 bytes"), "{status:?}");

    let with_file =
        |bytes: usize| LaunchRequest { cloud_init_user_data: "#".repeat(bytes), ..fixture.wish("web") };
    let (fits, too_long, far_too_long) =
        (with_file(256 * 1024), with_file(256 * 1024 + 1), with_file(1024 * 1024));
    fixture.launch(fits).await.unwrap();
    for (wish, why) in [
        (too_long, "the cloud-init file has more than 262144 bytes"),
        (far_too_long, "more than 1048576 bytes"),
    ] {
        let status = fixture.launch(wish).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(why), "{status:?}");
    }
}

#[tokio::test]
async fn a_request_names_so_many_instances_at_most_and_of_many_failures_some_are_told() {
    let fixture = MachinesFixture::new().await;
    let names: Vec<String> = (0..=MOST_NAMES).map(|number| format!("n{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let calls = async |names: &[&str]| {
        let mut client = fixture.client.clone();
        let (list, pairs) = (named(names), pairs(names));
        let instance_name: Vec<String> = names.iter().map(ToString::to_string).collect();
        let info = InfoRequest { instance_snapshot_pairs: pairs.clone(), ..Default::default() };
        let delete = rpc::DeleteRequest { instance_snapshot_pairs: pairs, ..Default::default() };
        let start = StartRequest { instance_names: list.clone(), ..Default::default() };
        let restart = rpc::RestartRequest { instance_names: list.clone(), ..Default::default() };
        let stop = StopRequest { instance_names: list.clone(), ..Default::default() };
        let suspend = rpc::SuspendRequest { instance_names: list.clone(), ..Default::default() };
        let recover = rpc::RecoverRequest { instance_names: list, ..Default::default() };
        let ssh_info = SshInfoRequest { instance_name, ..Default::default() };
        [
            all(client.info(request(info))).await.map(drop),
            all(client.delet(request(delete))).await.map(drop),
            all(client.start(request(start))).await.map(drop),
            all(client.restart(request(restart))).await.map(drop),
            all(client.stop(request(stop))).await.map(drop),
            all(client.suspend(request(suspend))).await.map(drop),
            all(client.recover(request(recover))).await.map(drop),
            all(client.ssh_info(request(ssh_info))).await.map(drop),
        ]
        .map(Result::unwrap_err)
    };
    for status in calls(&names).await {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("names 1001 instances, and may name 1000"), "{status:?}");
    }
    for status in calls(&names[..MOST_NAMES]).await {
        let lines: Vec<&str> = status.message().lines().collect();
        assert_eq!((lines.len(), lines.last()), (MOST_TOLD + 1, Some(&"and 984 more")), "{status:?}");
        assert_eq!(lines[0], "instance \"n0000\" does not exist");
    }
}

#[tokio::test]
async fn little_is_repeated_of_what_a_client_sends() {
    let fixture = MachinesFixture::with(&["web"]).await;
    let mut client = fixture.client.clone();
    let long = "x".repeat(60_000);
    let shown = format!("{}…", "x".repeat(64));
    let remote = FindRequest { remote_name: long.clone(), ..Default::default() };
    let key = GetRequest { key: long.clone(), ..Default::default() };
    let mut pair = pairs(&["web"]).remove(0);
    pair.snapshot_name = Some(long.clone());
    let snapshot = InfoRequest { instance_snapshot_pairs: vec![pair], ..Default::default() };
    let missing = InfoRequest { instance_snapshot_pairs: pairs(&[&long]), ..Default::default() };
    let outcomes: [Result<(), Status>; 4] = [
        all(client.find(request(remote))).await.map(drop),
        all(client.get(request(key))).await.map(drop),
        all(client.info(request(snapshot))).await.map(drop),
        all(client.info(request(missing))).await.map(drop),
    ];
    for outcome in outcomes {
        let status = outcome.unwrap_err();
        assert!(status.message().contains(&shown) && status.message().len() < 300, "{status:?}");
    }
}

/// A body of which the last byte never comes.
struct UnfinishedBody(Option<Bytes>);

impl Body for UnfinishedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

/// A call of `path` with a message of which one byte is missing.
fn unfinished(path: &str) -> http::Request<tonic::body::Body> {
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(LARGEST).unwrap().to_be_bytes());
    message.resize(5 + LARGEST - 1, 0);
    post(path, tonic::body::Body::new(UnfinishedBody(Some(message.into()))))
}

fn post(path: &str, body: tonic::body::Body) -> http::Request<tonic::body::Body> {
    http::Request::post(format!("{ORIGIN}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

/// A call of `path` with nothing in its message but a field that no version has had, as long as may be.
fn longest(path: &str) -> http::Request<tonic::body::Body> {
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(LARGEST).unwrap().to_be_bytes());
    message.extend_from_slice(&[0xfa, 0x7f, 0xfb, 0xff, 0x03]);
    message.resize(5 + LARGEST, 0);
    post(path, tonic::body::Body::new(Full::new(Bytes::from(message))))
}

/// What a response without a body says that the call came to.
fn code(response: &http::Response<Incoming>) -> Option<Code> {
    response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// Whether there is no room for the largest request.
async fn is_full(client: &mut RpcClient<TestConnection>) -> bool {
    let found = all(client.find(request(search(LARGEST)))).await;
    found.is_err_and(|status| status.code() == Code::ResourceExhausted)
}

async fn until_free(client: &mut RpcClient<TestConnection>) {
    let free = async {
        while is_full(client).await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, free).await.expect("what ended has given back its bytes");
}

#[tokio::test]
async fn a_client_has_so_many_bytes_of_requests_in_progress_and_gets_them_back() {
    let service = TestService::start(MemoryStore::new()).await;
    let connection = service.connection().await;
    let mut client = RpcClient::with_origin(connection.clone(), http::Uri::from_static(ORIGIN));
    one(client.list(request(Default::default()))).await.unwrap();
    let fit = MOST_BYTES / (LARGEST + 4 * 1024);
    // A tunnel's bytes are those of its first part, as long as that is no whole one.
    for path in ["/multipass.Rpc/list", "/multipass.instances.v1.Instances/Tunnel"] {
        let mut calls = JoinSet::new();
        for _ in 0..fit + 4 {
            let mut connection = connection.clone();
            calls.spawn(async move { connection.call(unfinished(path)).await });
        }
        let refused = timeout(SOON, calls.join_next()).await.expect("a refusal").unwrap().unwrap().unwrap();
        assert_eq!(code(&refused), Some(Code::ResourceExhausted), "{path}: {refused:?}");
        drop(calls);
        until_free(&mut client).await;
    }
    // Far more than fits at once. There are no instances, which is said to who has sent a whole request.
    for _ in 0..2 * fit {
        let refused = all(client.find(request(search(LARGEST)))).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
}

/// A client answers pings and lets next to nothing through of what it is told.
#[tokio::test]
async fn a_reply_that_is_not_read_is_a_request_in_progress() {
    let MachinesFixture { service, .. } = &MachinesFixture::new().await;
    let tls = service.client_tls();
    let wide = service.narrow_connection(tls.clone(), 1 << 16).await;
    let mut wide = RpcClient::with_origin(wide, http::Uri::from_static(ORIGIN));
    // With no window the reply waits for it; with one of a byte all but that byte waits elsewhere.
    let (one, several) = ("/multipass.Rpc/list", "/multipass.Rpc/start");
    for (path, window) in [(one, 0), (one, 1), (several, 0), (several, 1)] {
        let mut connection = service.narrow_connection(tls.clone(), window).await;
        let mut answered = Vec::new();
        let refused = loop {
            let response = timeout(SOON, connection.call(longest(path))).await.expect("an answer").unwrap();
            match code(&response) {
                None => answered.push(response),
                refused => break refused,
            }
            assert!(answered.len() < MOST_BYTES / LARGEST, "{path}, window {window}: nothing holds it back");
        };
        assert_eq!(refused, Some(Code::ResourceExhausted), "{path}, window {window}");
        assert!(is_full(&mut wide).await, "{path}, window {window}: it has one share on all its connections");
        if window == 0 {
            // It gives up.
            drop(answered);
        } else {
            for response in answered {
                let read = response.into_body().collect();
                let reply = timeout(SOON, read).await.expect("a reply").unwrap();
                assert_eq!(reply.trailers().unwrap()["grpc-status"], "0");
                assert!(reply.to_bytes().len() > 1);
            }
        }
        until_free(&mut wide).await;
    }
}

#[tokio::test]
async fn replies_to_questions_that_are_not_read_are_taken_from_the_same_share() {
    /// Most of what there is, in calls that are soon made.
    const FILLING: usize = 110;
    let fixture = MachinesFixture::new().await;
    let tls = fixture.service.client_tls();
    let wide = fixture.service.narrow_connection(tls.clone(), 1 << 16).await;
    let mut wide = RpcClient::with_origin(wide, http::Uri::from_static(ORIGIN));
    for number in 0..20 {
        all(wide.launch(request(fixture.wish(&format!("n{number:02}"))))).await.unwrap();
    }
    let reply = all(wide.info(request(InfoRequest::default()))).await.unwrap().remove(0);
    let each = 4 * 1024 + prost::Message::encoded_len(&reply);
    let (mut filling, mut asking) = (
        fixture.service.narrow_connection(tls.clone(), 0).await,
        fixture.service.narrow_connection(tls, 0).await,
    );
    let mut unread = Vec::new();
    for _ in 0..FILLING {
        let response = filling.call(longest("/multipass.Rpc/list")).await.unwrap();
        assert_eq!(code(&response), None);
        unread.push(response);
    }
    let left = MOST_BYTES - FILLING * (LARGEST + 4 * 1024);
    let refused = loop {
        let empty = tonic::body::Body::new(Full::new(Bytes::from_static(&[0; 5])));
        let response = timeout(SOON, asking.call(post("/multipass.Rpc/info", empty))).await;
        let response = response.expect("an answer").unwrap();
        match code(&response) {
            None => unread.push(response),
            refused => break refused,
        }
        assert!((unread.len() - FILLING) * each <= left, "nothing holds back {each} bytes each");
    };
    assert_eq!(refused, Some(Code::ResourceExhausted));
    assert!(unread.len() > FILLING);
    drop(unread);
    until_free(&mut wide).await;
}
