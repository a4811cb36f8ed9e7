//! The body of a request, whose bytes are reserved from its client's quota as they come. What they say is not seen here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use tonic::Status;

use super::status;
use crate::limits::quota::{Principal, Quota, Reservation};

/// Bytes of requests in progress, of all clients: what the daemon may grow by for them, on a small machine.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Those of one client: nearly two thousand calls at once as programs make them, or seven of the largest.
const MAX_BYTES_PER_CLIENT: usize = 8 * 1024 * 1024;
/// What a call takes besides its headers and its body, in bytes.
const CALL_OVERHEAD: usize = 4 * 1024;

/// Trusted clients' quota of such bytes.
pub(super) fn quota() -> Quota {
    Quota::new(MAX_BYTES, MAX_BYTES_PER_CLIENT, MAX_BYTES_PER_CLIENT)
}

/// A request's body.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    reservation: Option<Arc<Reservation>>,
    /// So many bytes are yet to be counted; what comes after them is not.
    uncounted: usize,
}

impl RequestBody {
    /// The request of a principal, from whose quota its call and headers are reserved now. A peer that is not admitted is
    /// none: its calls are few and small.
    ///
    /// # Errors
    /// There is not as much left.
    pub(super) fn new(
        request: Request<Incoming>,
        principal: Option<Principal>,
        quota: &Quota,
    ) -> Result<Request<Self>, Status> {
        let headers: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let reservation = match principal {
            Some(principal) => {
                Some(quota.reserve(principal, CALL_OVERHEAD + headers).map_err(status::too_many_bytes)?)
            }
            None => None,
        };
        Ok(request.map(|incoming| Self {
            incoming,
            reservation: reservation.map(Arc::new),
            uncounted: usize::MAX,
        }))
    }

    /// What its request has reserved, and releases with the last clone: whoever works with the message keeps it.
    pub(super) fn reservation(&self) -> Option<Arc<Reservation>> {
        self.reservation.clone()
    }

    /// Only so many of its first bytes are counted: no more of them are in memory at once, however many come.
    pub(super) fn counting_at_most(self, bytes: usize) -> Self {
        Self { uncounted: bytes, ..self }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        if let (Some(reservation), Some(Ok(frame))) = (&this.reservation, &frame)
            && let Some(data) = frame.data_ref()
        {
            let counted = data.len().min(this.uncounted);
            if let Err(exceeded) = reservation.extend(counted) {
                return Poll::Ready(Some(Err(status::too_many_bytes(exceeded).into())));
            }
            this.uncounted -= counted;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }
}
