//! Name, path and shape of every method, as the generated client calls them.
//!
//! The shape is in the types: a bidirectional call takes a stream and gives one, a unary call neither.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rpc::rpc_client::RpcClient;
use rpc::*;
use tonic::body::Body;
use tonic::codec::Streaming;
use tonic::{Code, Request, Response, Status};

/// Notes the path of each call and answers with a status.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl tower_service::Service<http::Request<Body>> for Recorder {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.lock().expect("not poisoned").push(request.uri().path().to_owned());
        ready(Ok(Status::out_of_range("recorded").into_http()))
    }
}

/// The recorder answers at once, so that one poll completes a call.
fn completed<T>(call: impl Future<Output = T>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the call waits for something"),
    }
}

/// Calls each method with its types and returns its name as the contract has it.
macro_rules! call_each {
    ($recorder:ident: $($shape:ident $method:ident($request:ty) -> $reply:ty;)+) => {{
        $(
            let mut client = RpcClient::new($recorder.clone());
            call_each!(@$shape $method($request) -> $reply, client);
        )+
        vec![$(stringify!($method)),+]
    }};
    (@bidi $method:ident($request:ty) -> $reply:ty, $client:ident) => {
        let call = RpcClient::$method(&mut $client, tokio_stream::empty::<$request>());
        let outcome: Result<Response<Streaming<$reply>>, Status> = completed(call);
        assert_eq!(outcome.expect_err("no call succeeds").code(), Code::OutOfRange);
    };
    (@unary $method:ident($request:ty) -> $reply:ty, $client:ident) => {
        let call = RpcClient::$method(&mut $client, Request::new(<$request>::default()));
        let outcome: Result<Response<$reply>, Status> = completed(call);
        assert_eq!(outcome.expect_err("no call succeeds").code(), Code::OutOfRange);
    };
}

#[test]
fn every_method_has_its_path_shape_and_types() {
    let recorder = Recorder::default();
    let names = call_each! { recorder:
        bidi create(LaunchRequest) -> LaunchReply;
        bidi launch(LaunchRequest) -> LaunchReply;
        bidi purge(PurgeRequest) -> PurgeReply;
        bidi find(FindRequest) -> FindReply;
        bidi info(InfoRequest) -> InfoReply;
        bidi list(ListRequest) -> ListReply;
        bidi networks(NetworksRequest) -> NetworksReply;
        bidi mount(MountRequest) -> MountReply;
        unary ping(PingRequest) -> PingReply;
        bidi recover(RecoverRequest) -> RecoverReply;
        bidi ssh_info(SshInfoRequest) -> SshInfoReply;
        bidi start(StartRequest) -> StartReply;
        bidi stop(StopRequest) -> StopReply;
        bidi suspend(SuspendRequest) -> SuspendReply;
        bidi restart(RestartRequest) -> RestartReply;
        bidi delet(DeleteRequest) -> DeleteReply;
        bidi umount(UmountRequest) -> UmountReply;
        bidi version(VersionRequest) -> VersionReply;
        bidi get(GetRequest) -> GetReply;
        bidi set(SetRequest) -> SetReply;
        bidi keys(KeysRequest) -> KeysReply;
        bidi authenticate(AuthenticateRequest) -> AuthenticateReply;
        bidi snapshot(SnapshotRequest) -> SnapshotReply;
        bidi restore(RestoreRequest) -> RestoreReply;
        bidi clone(CloneRequest) -> CloneReply;
        bidi daemon_info(DaemonInfoRequest) -> DaemonInfoReply;
        bidi wait_ready(WaitReadyRequest) -> WaitReadyReply;
        bidi zones(ZonesRequest) -> ZonesReply;
        bidi zones_state(ZonesStateRequest) -> ZonesStateReply;
    };

    assert_eq!(METHODS, names);
    let paths: Vec<String> = names.iter().map(|name| format!("/multipass.Rpc/{name}")).collect();
    assert_eq!(*recorder.0.lock().expect("not poisoned"), paths);
    assert_eq!(SERVICE, "multipass.Rpc");
}

#[test]
fn our_own_services_have_paths_of_their_own() {
    let methods = [
        "List",
        "Add",
        "Revoke",
        "SetLevel",
        "Rename",
        "Deauthenticate",
        "SetPassphrase",
        "PassphraseIsSet",
        "CreateToken",
        "ListTokens",
        "RevokeToken",
        "RedeemToken",
    ];
    assert_eq!(trust::METHODS, methods);
    let services =
        [(instances::SERVICE, instances::METHODS), (SERVICE, METHODS), (trust::SERVICE, trust::METHODS)];
    assert_eq!(SERVICES, services);
    let recorder = Recorder::default();
    let mut client = trust::trust_client::TrustClient::new(recorder.clone());
    let outcome = completed(client.list(Request::new(trust::ListRequest::default())));
    assert_eq!(outcome.expect_err("no call succeeds").code(), Code::OutOfRange);
    assert_eq!(*recorder.0.lock().expect("not poisoned"), [format!("/{}/List", trust::SERVICE)]);

    assert_eq!(instances::METHODS, ["Tunnel"]);
    let mut client = instances::instances_client::InstancesClient::new(recorder.clone());
    let outcome = completed(client.tunnel(tokio_stream::empty::<instances::TunnelRequest>()));
    assert_eq!(outcome.expect_err("no call succeeds").code(), Code::OutOfRange);
    let path = format!("/{}/Tunnel", instances::SERVICE);
    assert_eq!(recorder.0.lock().expect("not poisoned").last(), Some(&path));
}
