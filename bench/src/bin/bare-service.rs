//! The least that a gRPC service over TLS can do: it answers `list` and refuses `authenticate`, whoever calls. The
//! transport, the codec and the settings of HTTP/2 are the daemon's; accounts of peers, deadlines, admission and an
//! orderly end are what it does without.
//!
//! It tells its address as a line of JSON once it listens.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, bail};
use bench::{read, transport_of};
use http::Request;
use hyper::body::Incoming as Body;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rpc::list_reply::ListContents;
use rpc::{AuthenticateReply, AuthenticateRequest, InstancesList, ListReply, ListRequest};
use tonic::codec::Streaming;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use transport::tls::{Identity, ServerTls};
use transport::{Endpoint, Incoming};

/// As many as the daemon has at most.
const MAX_WORKERS: usize = 4;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [address, certificate, key] = arguments.as_slice() else {
        bail!("usage: bare-service ADDRESS CERTIFICATE KEY");
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let identity = Identity::from_pem(&read(Path::new(certificate))?, &read(Path::new(key))?)?;
    let address = address.to_str().context("the address is not UTF-8")?.parse()?;
    runtime.block_on(serve(&address, ServerTls::new(identity)?))
}

async fn serve(endpoint: &Endpoint, tls: ServerTls) -> anyhow::Result<()> {
    let mut listener = transport_of(endpoint)?.listen(endpoint, tls).await?;
    let [address, ..] = listener.endpoints() else { bail!("it listens nowhere") };
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "address": address.to_string() }))?;
    loop {
        tokio::spawn(serve_peer(listener.accept().await?));
    }
}

/// Who fails is gone; the driver, who is at the other end, says why.
async fn serve_peer(incoming: Box<dyn Incoming>) {
    let Ok(mut connection) = incoming.handshake().await else { return };
    let Some(stream) = connection.next_stream().await else { return };
    // As the daemon's, in `crates/daemon/src/connections`.
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
        "/multipass.Rpc/list" => Grpc::new(ProstCodec::default()).streaming(Method(list), request).await,
        "/multipass.Rpc/authenticate" => {
            Grpc::new(ProstCodec::default()).streaming(Method(authenticate), request).await
        }
        _ => Status::unimplemented("").into_http(),
    })
}

fn list(_: ListRequest) -> Result<ListReply, Status> {
    let contents = Some(ListContents::InstanceList(InstancesList::default()));
    Ok(ListReply { list_contents: contents, ..Default::default() })
}

/// As the daemon answers who guesses without a pause.
fn authenticate(_: AuthenticateRequest) -> Result<AuthenticateReply, Status> {
    Err(Status::resource_exhausted("Too many failed attempts. Try again in 60 s."))
}

/// A method that reads one message, in the shape that tonic's generated code gives to it.
struct Method<Req, Rep>(fn(Req) -> Result<Rep, Status>);

impl<Req, Rep> StreamingService<Req> for Method<Req, Rep>
where
    Req: Send + 'static,
    Rep: Send + 'static,
{
    type Response = Rep;
    type ResponseStream = tokio_stream::Once<Result<Rep, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Req>>) -> Self::Future {
        let method = self.0;
        Box::pin(async move {
            let Some(message) = request.into_inner().message().await? else {
                return Err(Status::invalid_argument(""));
            };
            Ok(Response::new(tokio_stream::once(Ok(method(message)?))))
        })
    }
}
