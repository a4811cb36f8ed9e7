//! gRPC: the shapes that all methods share, one request message in, one reply message or a stream of them out, in its
//! framing. A unary call and a stream of one message are the same on the wire.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::codec::Streaming;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::pending_reply::hold_until_read;
use super::request_body::RequestBody;

pub(super) type Response = http::Response<tonic::body::Body>;

/// What a caller may send as a request, and how long it may take for it.
#[derive(Clone, Copy)]
pub(super) struct RequestLimits {
    /// In bytes.
    pub(super) max_bytes: usize,
    pub(super) deadline: Duration,
}

/// Replies that wait for the client to read.
const MAX_REPLIES: usize = 16;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decodes the request, runs the handler and frames its reply.
pub(super) async fn unary<Req, Rep, F>(
    request: Request<RequestBody>,
    limits: RequestLimits,
    handler: F,
) -> Response
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req) -> BoxFuture<Result<Rep, Status>> + Send + 'static,
{
    // The message may take as much as its bytes have.
    let reservation = request.body().reservation();
    let response = Grpc::new(ProstCodec::<Rep, Req>::default())
        .max_decoding_message_size(limits.max_bytes)
        .streaming(UnaryHandler { handler: Some(handler), limits }, request)
        .await;
    hold_until_read(response, reservation)
}

/// Decodes the first message, and runs the handler, which may read the rest, for as long as its replies are
/// wanted: it is dropped with the stream when the client resets the call or its connection ends.
pub(super) async fn streaming<Req, Rep, F>(
    request: Request<RequestBody>,
    limits: RequestLimits,
    handler: F,
) -> Response
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req, Streaming<Req>, ReplySender<Rep>) -> BoxFuture<Result<(), Status>> + Send + 'static,
{
    // The handler may keep all of the message.
    let reservation = request.body().reservation();
    let response = Grpc::new(ProstCodec::<Rep, Req>::default())
        .max_decoding_message_size(limits.max_bytes)
        .streaming(StreamingHandler { handler: Some(handler), limits, replies: PhantomData }, request)
        .await;
    hold_until_read(response, reservation)
}

struct UnaryHandler<F> {
    handler: Option<F>,
    limits: RequestLimits,
}

impl<Req, Rep, F> StreamingService<Req> for UnaryHandler<F>
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
        let limits = self.limits;
        Box::pin(async move {
            let handler = handler.ok_or_else(super::status::internal)?;
            let reply = handler(first_message(&mut request.into_inner(), limits).await?).await?;
            Ok(tonic::Response::new(tokio_stream::once(Ok(reply))))
        })
    }
}

struct StreamingHandler<F, Rep> {
    handler: Option<F>,
    limits: RequestLimits,
    replies: PhantomData<fn() -> Rep>,
}

impl<Req, Rep, F> StreamingService<Req> for StreamingHandler<F, Rep>
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req, Streaming<Req>, ReplySender<Rep>) -> BoxFuture<Result<(), Status>> + Send + 'static,
{
    type Response = Rep;
    type ResponseStream = ReplyStream<Rep>;
    type Future = BoxFuture<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Req>>) -> Self::Future {
        let handler = self.handler.take();
        let limits = self.limits;
        Box::pin(async move {
            let handler = handler.ok_or_else(super::status::internal)?;
            let (replies, sent) = mpsc::channel(MAX_REPLIES);
            let mut messages = request.into_inner();
            let first = first_message(&mut messages, limits).await?;
            let handler = Some(handler(first, messages, ReplySender(replies)));
            Ok(tonic::Response::new(ReplyStream { handler, sent, failed: None }))
        })
    }
}

/// The first message of a request, or the one that there is.
async fn first_message<Req>(messages: &mut Streaming<Req>, limits: RequestLimits) -> Result<Req, Status> {
    let Ok(message) = timeout(limits.deadline, messages.message()).await else {
        return Err(Status::new(Code::DeadlineExceeded, "The request did not arrive in time."));
    };
    let message = message.map_err(|status| match status.code() {
        // Its length is the first that comes of it.
        Code::OutOfRange => Status::invalid_argument(format!(
            "The request has more than {} bytes, the most that this call takes. Send less: fewer \
             names, or shorter values.",
            limits.max_bytes
        )),
        _ => status,
    });
    message?.ok_or_else(|| Status::invalid_argument("The call carries no request."))
}

/// Where a handler's replies go.
#[derive(Debug)]
pub(super) struct ReplySender<Rep>(mpsc::Sender<Rep>);

impl<Rep> ReplySender<Rep> {
    /// Sends a reply, as soon as there is room for it.
    pub(super) async fn send(&self, reply: Rep) {
        // Nobody listens who is not also about to drop the handler.
        let _ = self.0.send(reply).await;
    }

    /// Sends a reply if there is room for it: what is only good for a moment need not arrive.
    pub(super) fn offer(&self, reply: Rep) {
        let _ = self.0.try_send(reply);
    }
}

/// A handler at work, as the stream of its replies.
struct ReplyStream<Rep> {
    handler: Option<BoxFuture<Result<(), Status>>>,
    sent: mpsc::Receiver<Rep>,
    failed: Option<Status>,
}

impl<Rep> Stream for ReplyStream<Rep> {
    type Item = Result<Rep, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(handler) = &mut this.handler
            && let Poll::Ready(done) = handler.as_mut().poll(cx)
        {
            this.handler = None;
            this.failed = done.err();
            // Others may still hold a way to send.
            this.sent.close();
        }
        match this.sent.poll_recv(cx) {
            Poll::Ready(Some(reply)) => Poll::Ready(Some(Ok(reply))),
            Poll::Ready(None) if this.handler.is_some() => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(this.failed.take().map(Err)),
            Poll::Pending => Poll::Pending,
        }
    }
}
