//! The body of a request, whose bytes are taken from its client's share as they come. What they say is not seen here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use tonic::Status;

use super::status;
use crate::limits::quota::{Held, Holder, Shares};

/// Bytes of requests in progress, of all clients: what the daemon may grow by for them, on a small machine.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Those of one client: nearly two thousand calls at once as programs make them, or seven of the largest.
const MAX_BYTES_OF_CLIENT: usize = 8 * 1024 * 1024;
/// What a call takes besides its headers and its body, in bytes.
const CALL: usize = 4 * 1024;

/// The bytes that all clients share.
pub(super) fn shares() -> Shares {
    Shares::new(MAX_BYTES, MAX_BYTES_OF_CLIENT, MAX_BYTES_OF_CLIENT)
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Body {
    incoming: Incoming,
    held: Option<Arc<Held>>,
    /// So many bytes are yet to be taken; what comes after them is not.
    left: usize,
}

impl Body {
    /// The request of a holder, from whose share its call and headers are taken now. A stranger has none: its calls
    /// are few and small.
    ///
    /// # Errors
    /// There is not as much left.
    pub(super) fn of(
        request: Request<Incoming>,
        holder: Option<Holder>,
        shares: &Shares,
    ) -> Result<Request<Self>, Status> {
        let headers: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let held = match holder {
            Some(holder) => Some(shares.take(holder, CALL + headers).map_err(status::too_much)?),
            None => None,
        };
        Ok(request.map(|incoming| Self { incoming, held: held.map(Arc::new), left: usize::MAX }))
    }

    /// What its request has taken, and gives back with the last clone: whoever works with the message keeps it.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.clone()
    }

    /// Only so many of its first bytes are taken: no more of them are in memory at once, however many come.
    pub(super) fn taking_at_most(self, left: usize) -> Self {
        Self { left, ..self }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        if let (Some(held), Some(Ok(frame))) = (&this.held, &frame)
            && let Some(data) = frame.data_ref()
        {
            let taken = data.len().min(this.left);
            if let Err(full) = held.more(taken) {
                return Poll::Ready(Some(Err(status::too_much(full).into())));
            }
            this.left -= taken;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }
}
