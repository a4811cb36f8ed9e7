//! Accepting connections and serving each on its own: HTTP/2 over the streams of one peer.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use transport::{AcceptError, Incoming, Listener, Stream};

use crate::Service;
use crate::logging::with_causes;
use crate::service::caller_of;

/// Connections served at once; further peers are turned away.
const MAX_CONNECTIONS: usize = 1024;
/// How long a peer may take for its handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// The pause after accepting failed, for descriptors to be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long calls in progress may go on when the daemon stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// Calls that one connection may have in progress. Clients make a few; each can hold a reply in memory.
const MAX_CALLS: u32 = 128;
/// The most that the headers of one call may take, in bytes.
const MAX_HEADERS: u32 = 16 * 1024;

/// Serves the listener's peers until `stop`, then lets calls in progress finish for a while.
pub async fn serve(mut listener: Box<dyn Listener>, service: Arc<Service>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(incoming) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    tokio::spawn(serve_peer(incoming, Arc::clone(&service), stop.clone(), slot));
                }
                Err(_) => {
                    tracing::warn!("turned {} away: all connections are taken", incoming.origin());
                    incoming.refuse();
                }
            },
            Err(error @ AcceptError::Transient(_)) => {
                tracing::warn!("{}", with_causes(&error));
                sleep(ACCEPT_PAUSE).await;
            }
            Err(_) => break,
        }
    }
    listener.close(Instant::now() + DRAIN_DEADLINE).await;
}

async fn serve_peer(
    incoming: Box<dyn Incoming>,
    service: Arc<Service>,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
) {
    let origin = incoming.origin().clone();
    let handshake = tokio::select! {
        () = stop.cancelled() => return,
        handshake = timeout(HANDSHAKE_DEADLINE, incoming.handshake()) => handshake,
    };
    let mut connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!("{origin}: {}", with_causes(&error)),
        Err(_) => return tracing::debug!("{origin}: no handshake within {HANDSHAKE_DEADLINE:?}"),
    };
    let caller = match caller_of(connection.peer()) {
        Ok(caller) => Arc::new(caller),
        Err(error) => return tracing::debug!("{origin}: {error}"),
    };
    // A transport bounds how many streams a connection has.
    let mut streams = JoinSet::new();
    while let Some(stream) = tokio::select! {
        () = stop.cancelled() => None,
        stream = connection.next_stream() => stream,
    } {
        let (service, caller, stop) = (Arc::clone(&service), Arc::clone(&caller), stop.clone());
        streams.spawn(serve_stream(stream, service, caller, stop));
    }
    streams.join_all().await;
}

async fn serve_stream(
    stream: Stream,
    service: Arc<Service>,
    caller: Arc<auth_core::Caller>,
    stop: CancellationToken,
) {
    let answer = service_fn(|request| {
        let (service, caller) = (Arc::clone(&service), Arc::clone(&caller));
        async move { Ok::<_, std::convert::Infallible>(service.answer(caller, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_HEADERS)
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
        tracing::debug!("a connection from {} ended: {}", caller.channel, with_causes(&error));
    }
}
