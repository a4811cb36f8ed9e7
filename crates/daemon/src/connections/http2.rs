//! HTTP/2 on the streams of one connection, within bounds of its own. What is called is the service's matter.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{Connection, Stream};

use crate::logging::with_causes;
use crate::service::{PeerSession, Service};

/// Calls that one connection may have in progress. Clients make a few; each can hold a reply in memory.
const MAX_CALLS: u32 = 128;
/// The most that the headers of one call may take, in bytes.
const MAX_HEADERS: u32 = 16 * 1024;
/// What a peer may send before it is read, in bytes: a connection and a call.
const CONNECTION_WINDOW: u32 = 256 * 1024;
const CALL_WINDOW: u32 = 64 * 1024;
/// Replies that wait for the peer to read, in bytes a call.
const MAX_UNSENT: usize = 64 * 1024;
/// Streams reset by the peer before they were answered that are remembered (CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// A peer that answers no ping for this long after one, or reads nothing, is cut.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_DEADLINE: Duration = Duration::from_secs(20);

/// Serves all streams of a connection. A transport bounds how many there are; a peer that is not admitted has one at a time.
pub(super) async fn serve(
    mut connection: Box<dyn Connection>,
    service: Arc<Service>,
    session: Arc<PeerSession>,
    stop: CancellationToken,
) {
    // A connection may live for long and have many streams, of which few at a time: nothing is kept of the others.
    let streams = TaskTracker::new();
    while let Some(stream) = tokio::select! {
        () = stop.cancelled() => None,
        stream = connection.next_stream() => stream,
    } {
        let served =
            streams.spawn(serve_stream(stream, Arc::clone(&service), Arc::clone(&session), stop.clone()));
        tokio::select! {
            () = session.admitted() => {}
            _ = served => {}
            () = stop.cancelled() => break,
        }
    }
    streams.close();
    streams.wait().await;
}

async fn serve_stream(
    stream: Stream,
    service: Arc<Service>,
    session: Arc<PeerSession>,
    stop: CancellationToken,
) {
    let answer = service_fn(|request| {
        let (service, session) = (Arc::clone(&service), Arc::clone(&session));
        async move { Ok::<_, std::convert::Infallible>(service.answer(session, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_HEADERS)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(CALL_WINDOW)
        .max_send_buf_size(MAX_UNSENT)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_DEADLINE)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("a connection from {} ended: {}", session.caller().channel, with_causes(&error));
    }
}
