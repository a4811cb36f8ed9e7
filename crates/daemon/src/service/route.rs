//! How a method is routed to its handler: what a caller has to prove is in the type of the handler, which cannot be
//! called without it. Which method has which route is in `methods`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Administrator, Authenticated, Level};
use http::Request;
use prost::Message;
use tonic::Status;

use super::grpc::{self, BoxFuture, ReplySender, RequestLimits, Response};
use super::request_body::RequestBody;
use super::{PeerSession, Service, pending_reply};

/// A request of a trusted client. The largest names a thousand instances, whose names are not all of the longest, or
/// carries a certificate.
pub(super) const REQUEST: RequestLimits =
    RequestLimits { max_bytes: 64 * 1024, deadline: Duration::from_secs(30) };
/// A request of anyone.
const OPEN_REQUEST: RequestLimits = RequestLimits { max_bytes: 4 * 1024, deadline: Duration::from_secs(5) };

/// Answers a call whose caller has proven to be `P`.
type Call<P> = Box<dyn Fn(Arc<Service>, P, Request<RequestBody>) -> BoxFuture<Response> + Send + Sync>;

/// Who may call a method, in the type of its handler.
pub(super) enum Route {
    /// Anyone; the handler judges.
    Open(Call<Arc<PeerSession>>),
    /// Trusted clients of this level or a higher one.
    Client(Level, Call<Authenticated>),
    /// A trusted client of whatever level, about itself. Nobody is the first client by it.
    AnyLevel(Call<Authenticated>),
    /// Whoever may say who is trusted: clients of the full level, and root on this machine.
    Administrator(Call<Administrator>),
    /// Trusted clients of this level or a higher one, who are told that this daemon cannot do it.
    NotImplemented(Level),
}

/// An async function of the service, its caller's proof and the request, which returns its one reply. The trait names its
/// future, which has to be `Send`.
pub(super) trait UnaryHandler<'a, P: 'a, Req, Rep>:
    Fn(&'a Service, &'a P, Req) -> Self::Replying + Copy + Send + Sync + 'static
{
    type Replying: Future<Output = Result<Rep, Status>> + Send + 'a;
}

impl<'a, P: 'a, Req, Rep, F, Replying> UnaryHandler<'a, P, Req, Rep> for F
where
    F: Fn(&'a Service, &'a P, Req) -> Replying + Copy + Send + Sync + 'static,
    Replying: Future<Output = Result<Rep, Status>> + Send + 'a,
{
    type Replying = Replying;
}

/// As a [`UnaryHandler`], with a way to send replies.
pub(super) trait StreamingHandler<'a, Req, Rep>:
    Fn(&'a Service, &'a Authenticated, Req, ReplySender<Rep>) -> Self::Working + Copy + Send + Sync + 'static
{
    type Working: Future<Output = Result<(), Status>> + Send + 'a;
}

impl<'a, Req, Rep, F, Working> StreamingHandler<'a, Req, Rep> for F
where
    F: Fn(&'a Service, &'a Authenticated, Req, ReplySender<Rep>) -> Working + Copy + Send + Sync + 'static,
    Working: Future<Output = Result<(), Status>> + Send + 'a,
{
    type Working = Working;
}

/// Anyone's call, which the handler judges.
pub(super) fn open<Req, Rep, H>(handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, Arc<PeerSession>, Req, Rep>,
{
    Route::Open(unary(OPEN_REQUEST, handler))
}

/// A trusted client's question, which its level does not matter for. Its quota bears the reply.
pub(super) fn query<Req, Rep, H>(handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, Authenticated, Req, Rep>,
{
    Route::Client(
        Level::ReadOnly,
        Box::new(move |service, by, request| {
            let reservation = request.body().reservation();
            Box::pin(grpc::unary(request, REQUEST, move |message| {
                Box::pin(async move {
                    service.recheck(&by)?;
                    let reply = handler(&service, &by, message).await?;
                    pending_reply::reserve(reservation.as_deref(), &reply)?;
                    Ok(reply)
                })
            }))
        }),
    )
}

/// What a trusted client of the full level has done. What was done stays so, whether its quota bears the reply or not.
pub(super) fn command<Req, Rep, H>(handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, Authenticated, Req, Rep>,
{
    Route::Client(
        Level::Full,
        Box::new(move |service, by, request| {
            Box::pin(grpc::unary(request, REQUEST, move |message| {
                Box::pin(async move {
                    service.recheck(&by)?;
                    handler(&service, &by, message).await
                })
            }))
        }),
    )
}

/// As [`command`], with several replies.
pub(super) fn streaming<Req, Rep, H>(limits: RequestLimits, handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> StreamingHandler<'a, Req, Rep>,
{
    Route::Client(
        Level::Full,
        Box::new(move |service, by, request| {
            Box::pin(grpc::streaming(request, limits, move |message, _, replies| {
                Box::pin(async move {
                    service.recheck(&by)?;
                    handler(&service, &by, message, replies).await
                })
            }))
        }),
    )
}

/// What a trusted client of whatever level has done about itself: the authority and its store judge it again.
pub(super) fn any_level<Req, Rep, H>(handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, Authenticated, Req, Rep>,
{
    Route::AnyLevel(unary(REQUEST, handler))
}

/// What administrators ask and change: the authority and its store judge it again. What they are told may name more
/// clients than a quota bears.
pub(super) fn administration<Req, Rep, H>(handler: H) -> Route
where
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, Administrator, Req, Rep>,
{
    Route::Administrator(unary(REQUEST, handler))
}

fn unary<P, Req, Rep, H>(limits: RequestLimits, handler: H) -> Call<P>
where
    P: Send + Sync + 'static,
    Req: Message + Default + 'static,
    Rep: Message + Default + 'static,
    H: for<'a> UnaryHandler<'a, P, Req, Rep>,
{
    Box::new(move |service, by, request| {
        Box::pin(grpc::unary(request, limits, move |message| {
            Box::pin(async move { handler(&service, &by, message).await })
        }))
    })
}
