//! What a server answers.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use crate::client::Connection;
use crate::{FetchError, Request};

/// The longest tag that is kept.
const LONGEST_TAG: usize = 256;

/// So many bytes must come before the limit on waiting begins again: with the usual 30 seconds, somewhat less than what a
/// telephone line brings.
const ENOUGH: usize = 128 * 1024;

/// What a server answers.
#[derive(Debug)]
pub enum Response {
    /// All of it.
    Full(Body),
    /// What was asked for: the rest.
    Partial(Body),
    /// It is still what the tag stands for.
    NotModified,
    /// There is nothing after so many bytes.
    NothingLeft,
}

/// What is being sent.
#[derive(Debug)]
pub struct Body {
    host: String,
    stall: Duration,
    /// What was waited for, and what came, since enough of it had come.
    waited: Duration,
    came: usize,
    response: http::Response<Incoming>,
    _connection: Connection,
}

impl Body {
    pub(crate) fn new(
        host: String,
        stall: Duration,
        response: http::Response<Incoming>,
        connection: Connection,
    ) -> Self {
        Self { host, stall, waited: Duration::ZERO, came: 0, response, _connection: connection }
    }

    /// How many bytes will come, if it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// A tag that stands for exactly these bytes: a strong one (RFC 9110, section 8.8.1).
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let is_strong = |tag: &&str| tag.starts_with('"') && tag.ends_with('"') && tag.len() <= LONGEST_TAG;
        self.header(ETAG).filter(is_strong)
    }

    /// The next piece; none at the end. One that ends too soon is an error. Cancel-safe.
    ///
    /// # Errors
    /// Nothing came for too long, or next to nothing; or the connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Self { host, stall, waited, came, response, .. } = self;
        let broken = |source| FetchError::Broken { host: host.clone(), source };
        let next = async {
            loop {
                match response.body_mut().frame().await.transpose().map_err(broken)? {
                    None => return Ok(None),
                    // What is no data are trailers, which nobody asked for.
                    Some(frame) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Ok(Some(data)),
                        _ => {}
                    },
                }
            }
        };
        let begun = Instant::now();
        let next = timeout(stall.saturating_sub(*waited), next).await;
        let next = next.map_err(|_| FetchError::Stalled { host: host.clone(), limit: *stall })??;
        *waited += begun.elapsed();
        *came += next.as_ref().map_or(0, Bytes::len);
        if *came >= ENOUGH {
            (*waited, *came) = (Duration::ZERO, 0);
        }
        Ok(next)
    }

    fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    fn protocol(self, what: &'static str) -> FetchError {
        FetchError::Protocol { host: self.host, what }
    }
}

pub(crate) fn response(asked: Request<'_>, body: Body) -> Result<Response, FetchError> {
    match (body.response.status(), asked) {
        (StatusCode::OK, _) => Ok(Response::Full(body)),
        (StatusCode::PARTIAL_CONTENT, Request::Resume(bytes, _)) => {
            // `bytes 5-9/10`.
            let start = body.header(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes "));
            let start =
                start.and_then(|range| range.split_once('-')).and_then(|(start, _)| start.parse().ok());
            match start == Some(bytes) {
                true => Ok(Response::Partial(body)),
                false => Err(body.protocol("it sends another part than was asked for")),
            }
        }
        (StatusCode::NOT_MODIFIED, Request::IfNoneMatch(_)) => Ok(Response::NotModified),
        (StatusCode::RANGE_NOT_SATISFIABLE, Request::Resume(..)) => Ok(Response::NothingLeft),
        _ => Err(body.protocol("it answers what was not asked")),
    }
}
