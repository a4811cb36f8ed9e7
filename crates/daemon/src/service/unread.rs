//! The body of a reply, which keeps what its request has taken until the client has read all of it: a reply that
//! nobody reads stays in memory. What it says is not seen here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use prost::Message;
use tonic::Status;
use tonic::body::Body;

use super::reply::Response;
use super::status;
use crate::limits::quota::Held;

/// Has a response keep what its request has taken.
pub(super) fn keeping(response: Response, held: Option<Arc<Held>>) -> Response {
    match held {
        Some(held) => response.map(|body| Body::new(Unread { body, held })),
        None => response,
    }
}

/// Takes a reply's bytes from the same share as its request's, for as long.
///
/// # Errors
/// There is not as much left.
pub(super) fn take(held: Option<&Held>, reply: &impl Message) -> Result<(), Status> {
    held.map_or(Ok(()), |held| held.more(reply.encoded_len())).map_err(status::too_much)
}

struct Unread {
    body: Body,
    held: Arc<Held>,
}

/// A part of a reply. Its connection drops it when it is sent, or when nobody wants it any more.
struct Part {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        // The body alone would not do: it ends as soon as the client lets a single byte through, and all others wait in
        // the connection.
        let keep = |bytes| Bytes::from_owner(Part { bytes, _held: Arc::clone(&this.held) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(keep))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
