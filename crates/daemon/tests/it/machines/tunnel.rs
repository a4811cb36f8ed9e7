//! Tunnels: what goes through them, who gets one, and what ends them. The guest is a socket of the test's.

use std::net::SocketAddr;
use std::time::Duration;

use auth_core::testkit::MemoryStore;
use rpc::instances::instances_client::InstancesClient;
use rpc::instances::tunnel_reply::Part as FromGuest;
use rpc::instances::tunnel_request::Part as ToGuest;
use rpc::instances::{Access, TunnelReply, TunnelRequest};
use rpc::{DeleteRequest, StopRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::fixture::{MachinesFixture, all, named, pairs};
use crate::support::{ORIGIN, TestConnection, TestService, request};

/// For what is to happen.
const SOON: Duration = Duration::from_secs(20);
/// For what is to stand still.
const STILL: Duration = Duration::from_secs(1);
/// More than all buffers on the way can hold.
const MUCH: usize = 64 << 20;
/// The documented number of tunnels that one client may have.
const MOST_OF_CLIENT: usize = 64;

/// A client's end of a tunnel.
struct Tunnel {
    requests: mpsc::Sender<TunnelRequest>,
    replies: Streaming<TunnelReply>,
    access: Access,
}

impl Tunnel {
    async fn open(client: &InstancesClient<TestConnection>, instance: &str) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(1);
        requests.try_send(name(instance)).unwrap();
        let mut replies = client.clone().tunnel(ReceiverStream::new(sent)).await?.into_inner();
        let Some(FromGuest::Access(access)) = replies.message().await?.and_then(|reply| reply.part) else {
            panic!("a tunnel begins with the keys");
        };
        Ok(Self { requests, replies, access })
    }

    async fn send(&self, data: &'static [u8]) {
        self.requests.send(bytes(data)).await.unwrap();
    }

    /// Sends no more.
    fn end(&mut self) {
        self.requests = mpsc::channel(1).0;
    }

    async fn next(&mut self) -> Result<Option<FromGuest>, Status> {
        let next = timeout(SOON, self.replies.message()).await.expect("a reply, or the end");
        Ok(next?.map(|reply| reply.part.unwrap()))
    }

    async fn receives(&mut self, expected: &[u8]) {
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let Some(FromGuest::Data(data)) = self.next().await.unwrap() else { panic!("{received:?}") };
            received.extend_from_slice(&data);
        }
        assert_eq!(received, expected);
    }

    /// Reads to its end.
    async fn outcome(mut self) -> Result<(), Status> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

fn name(instance: &str) -> TunnelRequest {
    TunnelRequest { part: Some(ToGuest::InstanceName(instance.to_owned())) }
}

fn bytes(data: &'static [u8]) -> TunnelRequest {
    TunnelRequest { part: Some(ToGuest::Data(data.into())) }
}

/// Running instances, and where their guests answer.
async fn fixture(names: &[&str]) -> (MachinesFixture, TcpListener) {
    let fixture = MachinesFixture::with(names).await;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    fixture.driver.answers_at(listener.local_addr().unwrap());
    (fixture, listener)
}

/// A tunnel with the guest's end of it.
async fn tunnel(fixture: &MachinesFixture, listener: &TcpListener) -> (Tunnel, TcpStream) {
    let (tunnel, guest) = tokio::join!(Tunnel::open(&fixture.instances, "web"), listener.accept());
    (tunnel.unwrap(), guest.unwrap().0)
}

/// What the guest is sent, to its end.
async fn rest_of(guest: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(SOON, guest.read_to_end(&mut rest)).await.expect("an end").unwrap();
    rest
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let (fixture, listener) = fixture(&["web"]).await;
    for client_ends_first in [true, false] {
        let (mut tunnel, mut guest) = tunnel(&fixture, &listener).await;
        tunnel.send(b"to\0the guest\xff").await;
        let mut received = [0; 13];
        guest.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"to\0the guest\xff");
        guest.write_all(b"to\0the client\xff").await.unwrap();
        tunnel.receives(b"to\0the client\xff").await;
        if client_ends_first {
            tunnel.end();
            assert_eq!(rest_of(&mut guest).await, b"");
            guest.write_all(b"late").await.unwrap();
            tunnel.receives(b"late").await;
            drop(guest);
            tunnel.outcome().await.unwrap();
        } else {
            guest.shutdown().await.unwrap();
            assert!(matches!(tunnel.next().await, Ok(Some(FromGuest::End(_)))));
            tunnel.send(b"late").await;
            tunnel.end();
            assert_eq!(rest_of(&mut guest).await, b"late");
            tunnel.outcome().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_tunnel_begins_with_what_opens_the_guest_and_tells_it_from_others() {
    let (fixture, listener) = fixture(&["web", "db"]).await;
    let (tunnel, _guest) = tunnel(&fixture, &listener).await;
    let other = Tunnel::open(&fixture.instances, "db").await.unwrap();
    assert_eq!(tunnel.access.user_name, "ubuntu");
    assert!(tunnel.access.host_key.starts_with("ssh-ed25519 "), "{:?}", tunnel.access);
    assert!(tunnel.access.private_key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    assert_ne!(tunnel.access.host_key, other.access.host_key);
    assert_ne!(tunnel.access.private_key, other.access.private_key);
}

#[tokio::test]
async fn strangers_get_none() {
    let (fixture, listener) = fixture(&["web"]).await;
    let stranger = fixture.service.connection().await;
    let stranger = InstancesClient::with_origin(stranger, http::Uri::from_static(ORIGIN));
    let refused = Tunnel::open(&stranger, "web").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert!(refused.message().contains("multipass authenticate"), "{refused:?}");
    // The first to come is the client's, who comes after the stranger.
    let (mut tunnel, mut guest) = tunnel(&fixture, &listener).await;
    tunnel.send(b"x").await;
    tunnel.end();
    assert_eq!(rest_of(&mut guest).await, b"x");
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
}

#[tokio::test]
async fn an_instance_that_is_not_up_has_none() {
    let (mut fixture, _listener) = fixture(&["web", "off", "gone"]).await;
    let stop = StopRequest { instance_names: named(&["off"]), ..Default::default() };
    all(fixture.client.stop(request(stop))).await.unwrap();
    let delete = DeleteRequest { instance_snapshot_pairs: pairs(&["gone"]), ..Default::default() };
    all(fixture.client.delet(request(delete))).await.unwrap();
    for (instance, code, words) in [
        ("off", Code::FailedPrecondition, "instance \"off\" is not running; 'multipass start off'"),
        ("gone", Code::FailedPrecondition, "Instance 'gone' is deleted."),
        ("nosuch", Code::NotFound, "instance \"nosuch\" does not exist"),
        ("no\u{1b}such", Code::NotFound, "instance \"no\\u{1b}such\" does not exist"),
        ("", Code::NotFound, "instance \"\" does not exist"),
    ] {
        let refused = Tunnel::open(&fixture.instances, instance).await.err().unwrap();
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().starts_with(words), "{refused:?}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    fixture.driver.answers_at(nobody);
    let refused = Tunnel::open(&fixture.instances, "web").await.err().unwrap();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    assert!(refused.message().starts_with("instance \"web\" cannot be reached"), "{refused:?}");
}

#[tokio::test]
async fn a_service_without_a_driver_says_so() {
    let service = TestService::start(MemoryStore::new()).await;
    let origin = http::Uri::from_static(ORIGIN);
    let client = InstancesClient::with_origin(service.connection().await, origin);
    let refused = Tunnel::open(&client, "web").await.err().unwrap();
    // Not Unimplemented, by which a client knows a service without tunnels.
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message().contains("no driver"), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_tunnel_is_refused() {
    let (fixture, listener) = fixture(&["web"]).await;
    let mut client = fixture.instances.clone();
    for first in [bytes(b"x"), TunnelRequest { part: None }] {
        let refused = all(client.tunnel(request(first))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    for second in [name("web"), TunnelRequest { part: None }] {
        let (tunnel, mut guest) = tunnel(&fixture, &listener).await;
        tunnel.requests.send(second).await.unwrap();
        let refused = tunnel.outcome().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(rest_of(&mut guest).await, b"");
    }
}

#[tokio::test]
async fn a_part_is_no_larger_than_a_request() {
    /// With the four bytes that say what it is, and how long: 64 KiB, which is documented, and one more.
    static LARGEST: [u8; 64 * 1024 - 4] = [7; 64 * 1024 - 4];
    static TOO_LARGE: [u8; 64 * 1024 - 3] = [7; 64 * 1024 - 3];
    assert_eq!(prost::Message::encoded_len(&bytes(&LARGEST)), 64 * 1024);
    let (fixture, listener) = fixture(&["web"]).await;
    let (tunnel, mut guest) = tunnel(&fixture, &listener).await;
    let mut received = vec![0; LARGEST.len()];
    let (_, read) = tokio::join!(tunnel.send(&LARGEST), timeout(SOON, guest.read_exact(&mut received)));
    read.expect("it should come").unwrap();
    assert_eq!(received, LARGEST);
    tunnel.send(&TOO_LARGE).await;
    let refused = tunnel.outcome().await.unwrap_err();
    assert!(refused.message().contains("65536"), "{refused:?}");
    assert_eq!(rest_of(&mut guest).await, b"");
}

#[tokio::test]
async fn a_client_that_is_revoked_loses_its_tunnels_and_hears_why() {
    let (fixture, listener) = fixture(&["web"]).await;
    let (tunnel, mut guest) = tunnel(&fixture, &listener).await;
    fixture.service.revoke_all();
    let refused = tunnel.outcome().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert_eq!(rest_of(&mut guest).await, b"");
}

#[tokio::test]
async fn a_client_that_is_revoked_and_does_not_read_loses_its_tunnels() {
    let (fixture, listener) = fixture(&["web"]).await;
    let (_tunnel, mut guest) = tunnel(&fixture, &listener).await;
    write_until_still(&mut guest).await;
    fixture.service.revoke_all();
    // With so much unread the end is a reset.
    let _ = timeout(SOON, guest.read(&mut [0])).await.expect("an end");
}

#[tokio::test]
async fn a_daemon_that_stops_ends_them() {
    let (fixture, listener) = fixture(&["web"]).await;
    let (tunnel, mut guest) = tunnel(&fixture, &listener).await;
    fixture.service.stop();
    let refused = tunnel.outcome().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(rest_of(&mut guest).await, b"");
}

#[tokio::test]
async fn a_client_has_so_many_and_no_more() {
    let (fixture, listener) = fixture(&["web", "db"]).await;
    let mut tunnels = Vec::new();
    for number in 0..MOST_OF_CLIENT {
        let instance = ["web", "db"][number % 2];
        let (tunnel, guest) = tokio::join!(Tunnel::open(&fixture.instances, instance), listener.accept());
        tunnels.push((tunnel.unwrap(), guest.unwrap().0));
    }
    let refused = Tunnel::open(&fixture.instances, "web").await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let (given_up, mut guest) = tunnels.pop().unwrap();
    drop(given_up);
    assert_eq!(rest_of(&mut guest).await, b"");
    // Its place is given back about when its guest sees the end.
    let again = async {
        while Tunnel::open(&fixture.instances, "web").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("a place");
}

#[tokio::test]
async fn a_tunnel_in_use_takes_no_more_of_its_clients_bytes_than_its_first_part_may_have() {
    const CHUNK: &[u8] = &[7; 1 << 15];
    /// Through each tunnel: through all of them twice what one client may have in requests.
    const CHUNKS: usize = 2 * (8 << 20) / MOST_OF_CLIENT / CHUNK.len();
    let (mut fixture, listener) = fixture(&["web"]).await;
    let mut tunnels = Vec::new();
    for number in 0..MOST_OF_CLIENT {
        let (mut tunnel, mut guest) = tunnel(&fixture, &listener).await;
        let send = async {
            for _ in 0..CHUNKS {
                tunnel.send(CHUNK).await;
            }
            tunnel.end();
        };
        let (received, ()) = tokio::join!(rest_of(&mut guest), send);
        assert_eq!(received.len(), CHUNKS * CHUNK.len(), "tunnel {number}");
        tunnels.push((tunnel, guest));
    }
    // There is room left for other calls.
    assert_eq!(fixture.states().await, ["web Running"]);
    for (tunnel, guest) in tunnels {
        drop(guest);
        tunnel.outcome().await.unwrap();
    }
}

/// Writes until nobody takes anything for a while, and returns how much was taken.
async fn write_until_still(guest: &mut TcpStream) -> usize {
    let chunk = vec![7; 1 << 16];
    let mut written = 0;
    while let Ok(taken) = timeout(STILL, guest.write(&chunk)).await {
        written += taken.unwrap();
        assert!(written < MUCH, "nothing holds it back");
    }
    written
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_guest_back_and_can_still_send() {
    let (fixture, listener) = fixture(&["web"]).await;
    let (mut tunnel, mut guest) = tunnel(&fixture, &listener).await;
    let written = write_until_still(&mut guest).await;
    tunnel.send(b"still here").await;
    let mut received = [0; 10];
    timeout(SOON, guest.read_exact(&mut received)).await.expect("what was sent").unwrap();
    assert_eq!(&received, b"still here");
    let mut read = 0;
    while read < written {
        let Some(FromGuest::Data(data)) = tunnel.next().await.unwrap() else { panic!("an end after {read}") };
        read += data.len();
    }
    assert_eq!(read, written);
}

#[tokio::test]
async fn a_guest_that_does_not_read_holds_its_client_back_and_can_still_send() {
    const CHUNK: &[u8] = &[7; 1 << 15];
    let (fixture, listener) = fixture(&["web"]).await;
    let (mut tunnel, mut guest) = tunnel(&fixture, &listener).await;
    let mut sent = 0;
    while timeout(STILL, tunnel.requests.send(bytes(CHUNK))).await.is_ok() {
        sent += CHUNK.len();
        assert!(sent < MUCH, "nothing holds it back");
    }
    guest.write_all(b"still here").await.unwrap();
    tunnel.receives(b"still here").await;
    tunnel.end();
    assert_eq!(rest_of(&mut guest).await.len(), sent);
}
