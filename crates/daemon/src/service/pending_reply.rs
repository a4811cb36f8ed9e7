//! The body of a reply, which keeps what its request has reserved until the client has read all of it: a reply
//! that nobody reads stays in memory. What it says is not seen here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use prost::Message;
use tonic::Status;
use tonic::body::Body;

use super::grpc::Response;
use super::status;
use crate::limits::quota::Reservation;

/// Has a response keep what its request has reserved, until it is read.
pub(super) fn hold_until_read(response: Response, reservation: Option<Arc<Reservation>>) -> Response {
    match reservation {
        Some(reservation) => response.map(|body| Body::new(PendingReply { body, reservation })),
        None => response,
    }
}

/// Reserves a reply's bytes from the same quota as its request's, for as long.
///
/// # Errors
/// There is not as much left.
pub(super) fn reserve(reservation: Option<&Reservation>, reply: &impl Message) -> Result<(), Status> {
    let Some(reservation) = reservation else { return Ok(()) };
    reservation.extend(reply.encoded_len()).map_err(status::too_many_bytes)
}

struct PendingReply {
    body: Body,
    reservation: Arc<Reservation>,
}

/// A part of a reply. Its connection drops it when it is sent, or when nobody wants it any more.
struct Chunk {
    bytes: Bytes,
    _reservation: Arc<Reservation>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for PendingReply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        // The body alone would not do: it ends as soon as the client lets a single byte through, and all others wait in
        // the connection.
        let keep = |bytes| Bytes::from_owner(Chunk { bytes, _reservation: Arc::clone(&this.reservation) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(keep))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
