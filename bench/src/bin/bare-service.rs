//! The least that a gRPC service over TLS on a Unix socket can do: it answers `list`, whoever calls. The
//! transport, the codec and the settings of HTTP/2 are the daemon's; accounts of peers, deadlines, admission
//! and an orderly end are what it does without.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use bench::read;
use http::Request;
use hyper::body::Incoming as Body;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rpc::list_reply::ListContents;
use rpc::{InstancesList, ListReply, ListRequest};
use tonic::codec::Streaming;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use transport::tls::{Identity, ServerTls};
use transport::{Endpoint, Incoming, Transport};
use transport_unix::UnixTransport;

/// As many as the daemon has at most.
const MAX_WORKERS: usize = 4;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [socket, certificate, key] = arguments.as_slice() else {
        bail!("usage: bare-service SOCKET CERTIFICATE KEY");
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let identity = Identity::from_pem(&read(Path::new(certificate))?, &read(Path::new(key))?)?;
    runtime.block_on(serve(&Endpoint::Unix(socket.into()), ServerTls::new(identity)?))
}

async fn serve(endpoint: &Endpoint, tls: ServerTls) -> anyhow::Result<()> {
    let mut listener = UnixTransport::default().listen(endpoint, tls).await?;
    loop {
        tokio::spawn(serve_peer(listener.accept().await?));
    }
}

/// Who fails is gone; the driver, who is at the other end, says why.
async fn serve_peer(incoming: Box<dyn Incoming>) {
    let Ok(mut connection) = incoming.handshake().await else { return };
    let Some(stream) = connection.next_stream().await else { return };
    // As the daemon's, in `crates/daemon/src/serve.rs`.
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(16 * 1024)
        .initial_connection_window_size(256 * 1024)
        .initial_stream_window_size(64 * 1024)
        .max_send_buf_size(64 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let _ = serving.await;
}

async fn answer(request: Request<Body>) -> Result<http::Response<tonic::body::Body>, Infallible> {
    Ok(match request.uri().path() {
        "/multipass.Rpc/list" => Grpc::new(ProstCodec::default()).streaming(List, request).await,
        _ => Status::unimplemented("").into_http(),
    })
}

/// The method, in the shape that tonic's generated code gives to it.
struct List;

impl StreamingService<ListRequest> for List {
    type Response = ListReply;
    type ResponseStream = tokio_stream::Once<Result<ListReply, Status>>;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<ListRequest>>) -> Self::Future {
        Box::pin(async move {
            let mut messages = request.into_inner();
            if messages.message().await?.is_none() {
                return Err(Status::invalid_argument(""));
            }
            let contents = Some(ListContents::InstanceList(InstancesList::default()));
            let reply = ListReply { list_contents: contents, ..Default::default() };
            Ok(Response::new(tokio_stream::once(Ok(reply))))
        })
    }
}
