//! The shapes that all methods share: one request message in, one reply message or a stream of them out, in gRPC
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

use super::body::Body;
use super::unread::keeping;

pub(super) type Response = http::Response<tonic::body::Body>;

/// What a caller may send as a request, and how long it may take for it.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// In bytes.
    pub(super) largest: usize,
    pub(super) deadline: Duration,
}

/// Replies that wait for the client to read.
const MAX_REPLIES: usize = 16;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decodes the request, runs the handler and frames its reply.
pub(super) async fn reply<Req, Rep, F>(request: Request<Body>, bounds: Bounds, handler: F) -> Response
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req) -> BoxFuture<Result<Rep, Status>> + Send + 'static,
{
    // The message may take as much as its bytes have.
    let held = request.body().held();
    let response = Grpc::new(ProstCodec::<Rep, Req>::default())
        .max_decoding_message_size(bounds.largest)
        .streaming(OneReply { handler: Some(handler), bounds }, request)
        .await;
    keeping(response, held)
}

/// Decodes the first message, and runs the handler, which may read the rest, for as long as its replies are
/// wanted: it is dropped with the stream when the client resets the call or its connection ends.
pub(super) async fn stream<Req, Rep, F>(request: Request<Body>, bounds: Bounds, handler: F) -> Response
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req, Streaming<Req>, Replies<Rep>) -> BoxFuture<Result<(), Status>> + Send + 'static,
{
    // The handler may keep all of the message.
    let held = request.body().held();
    let response = Grpc::new(ProstCodec::<Rep, Req>::default())
        .max_decoding_message_size(bounds.largest)
        .streaming(SeveralReplies { handler: Some(handler), bounds, replies: PhantomData }, request)
        .await;
    keeping(response, held)
}

struct OneReply<F> {
    handler: Option<F>,
    bounds: Bounds,
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
        let bounds = self.bounds;
        Box::pin(async move {
            let handler = handler.ok_or_else(super::status::internal)?;
            let reply = handler(received(&mut request.into_inner(), bounds).await?).await?;
            Ok(tonic::Response::new(tokio_stream::once(Ok(reply))))
        })
    }
}

struct SeveralReplies<F, Rep> {
    handler: Option<F>,
    bounds: Bounds,
    replies: PhantomData<fn() -> Rep>,
}

impl<Req, Rep, F> StreamingService<Req> for SeveralReplies<F, Rep>
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    F: FnOnce(Req, Streaming<Req>, Replies<Rep>) -> BoxFuture<Result<(), Status>> + Send + 'static,
{
    type Response = Rep;
    type ResponseStream = Running<Rep>;
    type Future = BoxFuture<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Req>>) -> Self::Future {
        let handler = self.handler.take();
        let bounds = self.bounds;
        Box::pin(async move {
            let handler = handler.ok_or_else(super::status::internal)?;
            let (replies, sent) = mpsc::channel(MAX_REPLIES);
            let mut messages = request.into_inner();
            let first = received(&mut messages, bounds).await?;
            let handler = Some(handler(first, messages, Replies(replies)));
            Ok(tonic::Response::new(Running { handler, sent, failed: None }))
        })
    }
}

/// The first message of a request, or the one that there is.
async fn received<Req>(messages: &mut Streaming<Req>, bounds: Bounds) -> Result<Req, Status> {
    let Ok(message) = timeout(bounds.deadline, messages.message()).await else {
        return Err(Status::new(Code::DeadlineExceeded, "The request did not arrive in time."));
    };
    let message = message.map_err(|status| match status.code() {
        // Its length is the first that comes of it.
        Code::OutOfRange => Status::invalid_argument(format!(
            "The request has more than {} bytes, the most that this call takes. Name fewer instances in it, or leave \
             out what is long.",
            bounds.largest
        )),
        _ => status,
    });
    message?.ok_or_else(|| Status::invalid_argument("The call carries no request."))
}

/// Where a handler's replies go.
#[derive(Debug)]
pub(super) struct Replies<Rep>(mpsc::Sender<Rep>);

impl<Rep> Replies<Rep> {
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
struct Running<Rep> {
    handler: Option<BoxFuture<Result<(), Status>>>,
    sent: mpsc::Receiver<Rep>,
    failed: Option<Status>,
}

impl<Rep> Stream for Running<Rep> {
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
