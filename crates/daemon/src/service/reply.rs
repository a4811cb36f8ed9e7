//! The shape that all methods share: one request message in, one reply message out, in gRPC framing.
//! A unary call and a stream of one message are the same on the wire.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use prost::Message;
use tokio::time::timeout;
use tonic::codec::Streaming;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

pub(super) type Response = http::Response<tonic::body::Body>;

/// What a caller may send as a request, and how long it may take for it.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// In bytes.
    pub(super) largest: usize,
    pub(super) deadline: Duration,
}

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decodes the request, runs the handler and frames its reply.
pub(super) async fn reply<Req, Rep, F>(request: Request<Incoming>, bounds: Bounds, handler: F) -> Response
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req) -> BoxFuture<Result<Rep, Status>> + Send + 'static,
{
    Grpc::new(ProstCodec::<Rep, Req>::default())
        .max_decoding_message_size(bounds.largest)
        .streaming(OneReply { handler: Some(handler), deadline: bounds.deadline }, request)
        .await
}

struct OneReply<F> {
    handler: Option<F>,
    deadline: Duration,
}

impl<Req, Rep, F> StreamingService<Req> for OneReply<F>
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req) -> BoxFuture<Result<Rep, Status>> + Send + 'static,
{
    type Response = Rep;
    type ResponseStream = tokio_stream::Once<Result<Rep, Status>>;
    type Future = BoxFuture<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Req>>) -> Self::Future {
        let handler = self.handler.take();
        let deadline = self.deadline;
        Box::pin(async move {
            let handler = handler.ok_or_else(super::status::internal)?;
            let mut messages = request.into_inner();
            let Ok(message) = timeout(deadline, messages.message()).await else {
                return Err(Status::new(Code::DeadlineExceeded, "The request did not arrive in time."));
            };
            let Some(message) = message? else {
                return Err(Status::invalid_argument("The call carries no request."));
            };
            let reply = handler(message).await?;
            Ok(tonic::Response::new(tokio_stream::once(Ok(reply))))
        })
    }
}
