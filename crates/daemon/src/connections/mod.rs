//! Accepting connections and serving each on its own: HTTP/2 over the streams of one peer.

pub(crate) mod transports;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth_core::Source;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{AcceptError, Connection, Incoming, Listener, Origin, Stream};

use crate::limits::quota::{Full, Shares};
use crate::limits::tunnels;
use crate::limits::unauthenticated::{Slot, Strangers};
use crate::logging::{Seldom, with_causes};
use crate::service::{Visit, caller_of, channel_of};
use crate::{Service, platform};

/// Connections of trusted clients served at once, if there are descriptors for as many.
const MAX_CLIENTS: usize = 1024;
/// Those of one client: as many as it may have tunnels, of which each command in an instance has one on a connection
/// of its own, and some dozens of other commands beside them.
const MAX_OF_CLIENT: usize = tunnels::MAX_OF_CLIENT + 32;
/// Those that are kept for root, and as many again for clients of the full level: enough to look and to revoke, also for
/// several people at once.
const KEPT: usize = 32;
/// Descriptors that are kept for files, listeners and connections on their way out.
const RESERVED_DESCRIPTORS: usize = 64;
/// With fewer descriptors than this nobody could count on being served: those kept, and a few connections.
pub(crate) const FEWEST_DESCRIPTORS: u64 = RESERVED_DESCRIPTORS as u64 + 16;
/// Connections on their way out: sent away, and not gone yet. Peers may come faster than others go, and have to
/// wait then.
const MAX_LEAVING: usize = RESERVED_DESCRIPTORS / 2;
/// Connections that are not yet admitted.
const MAX_STRANGERS: usize = 256;
/// Tunnels into instances, each with a connection to a guest, if there are descriptors for as many.
const MAX_TUNNELS: usize = 256;
/// How long a peer may take for its handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may stay without being admitted: time for a person to be asked for the
/// passphrase, and for a few tries.
const ADMISSION_DEADLINE: Duration = Duration::from_secs(60);
/// How long a client for which there is no place is told so: time for its first call to come.
const LAST_REFUSAL: Duration = Duration::from_secs(1);
/// How long the connection of a client that is no longer trusted is kept for an answer under way.
const LAST_ANSWER: Duration = Duration::from_millis(200);
/// The pause after accepting failed, for descriptors to be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long calls in progress may go on when the daemon stops.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
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

/// What bounds a daemon's connections.
#[derive(Clone)]
struct Room {
    strangers: Strangers,
    clients: Shares,
    /// How often clients found no place, by the cause.
    refused: Arc<Mutex<BTreeMap<Full, Seldom>>>,
    /// All connections, until they are closed.
    all: Arc<Semaphore>,
}

impl Room {
    /// The room that so many descriptors leave.
    fn within(descriptors: u64) -> Self {
        let connections = free_of(descriptors);
        let strangers = MAX_STRANGERS.min(connections / 4);
        let clients = MAX_CLIENTS.min(connections - strangers - tunnels_within(descriptors));
        let all = strangers + clients + MAX_LEAVING;
        Self {
            strangers: Strangers::new(strangers),
            // Fewer where there is little room: nobody has more than a quarter of it.
            clients: Shares::new(clients, MAX_OF_CLIENT.min(clients / 4), KEPT.min(clients / 8)),
            refused: Arc::default(),
            all: Arc::new(Semaphore::new(all)),
        }
    }

    /// Says that a client found no place, if that was not said just before.
    fn tell(&self, origin: &Origin, full: Full) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = refused.entry(full).or_default().happened() {
            tracing::warn!(
                "refused a connection of a trusted client from {origin}: {full} ({times} refused for that since it \
                 was said last)"
            );
        }
    }
}

/// The tunnels that so many descriptors leave room for.
pub(crate) fn tunnels_within(descriptors: u64) -> usize {
    MAX_TUNNELS.min(free_of(descriptors) / 4)
}

fn free_of(descriptors: u64) -> usize {
    usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS)
}

/// Serves the listeners' peers until `stop`, then lets calls in progress finish for a while. All listeners
/// share the room there is. A listener that ends by itself ends them all: a daemon that no longer listens
/// where it was told to should be seen to have failed.
pub async fn serve(listeners: Vec<Box<dyn Listener>>, service: Arc<Service>, stop: CancellationToken) {
    let room = Room::within(platform::raise_descriptor_limit());
    let end = stop.child_token();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, room.clone(), Arc::clone(&service), end.clone()));
    }
    while accepting.join_next().await.is_some() {
        end.cancel();
    }
}

async fn accept(mut listener: Box<dyn Listener>, room: Room, service: Arc<Service>, stop: CancellationToken) {
    let mut failing = Seldom::default();
    loop {
        // Who has to go goes soon, so there is room soon.
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&room.all).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(incoming) => {
                let Ok(channel) = channel_of(incoming.origin()) else {
                    tracing::debug!("turned {} away: that kind of origin is unknown", incoming.origin());
                    incoming.refuse();
                    continue;
                };
                // A peer that has to wait keeps those behind it waiting, in the listener's queue, in their order.
                let slot = tokio::select! {
                    () = stop.cancelled() => break,
                    slot = room.strangers.enter(Source::of(&channel)) => slot,
                };
                let serving = serve_peer(incoming, slot, room.clone(), Arc::clone(&service), stop.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error @ AcceptError::Transient(_)) => {
                // Peers can bring it about, and let it succeed in between.
                if failing.happened().is_some() {
                    tracing::warn!("{}", with_causes(&error));
                }
                sleep(ACCEPT_PAUSE).await;
            }
            Err(_) => break,
        }
    }
    service.stop();
    listener.close(Instant::now() + DRAIN_DEADLINE).await;
}

async fn serve_peer(
    incoming: Box<dyn Incoming>,
    slot: Slot,
    room: Room,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let origin = incoming.origin().clone();
    let handshake = tokio::select! {
        // Who is through in time is not turned away.
        biased;
        () = stop.cancelled() => return,
        handshake = timeout(HANDSHAKE_DEADLINE, incoming.handshake()) => handshake,
        () = slot.sent_away() => return tracing::debug!("{origin}: dropped to make room for another peer"),
    };
    let connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!("{origin}: {}", with_causes(&error)),
        Err(_) => return tracing::debug!("{origin}: no handshake within {HANDSHAKE_DEADLINE:?}"),
    };
    let visit = match caller_of(connection.peer()) {
        Ok(caller) => Arc::new(service.welcome(caller)),
        Err(error) => return tracing::debug!("{origin}: {error}"),
    };

    let closer = connection.closer();
    let serving = serve_connection(connection, Arc::clone(&service), Arc::clone(&visit), stop);
    let mut serving = std::pin::pin!(serving);
    // As long as the peer is not admitted it keeps its slot, and with it may have to go.
    tokio::select! {
        biased;
        // First: who is admitted for its certificate is served nothing before it has a place.
        () = visit.admitted() => {}
        () = serving.as_mut() => return,
        () = slot.sent_away() => {
            tracing::debug!("{origin}: dropped to make room for another peer");
            return closer.close();
        }
        () = sleep(ADMISSION_DEADLINE) => {
            tracing::debug!("{origin}: not admitted within {ADMISSION_DEADLINE:?}");
            return closer.close();
        }
    }
    let Some(holder) = visit.holder() else { return closer.close() };
    let _place = match room.clients.take(holder, 1) {
        Ok(place) => place,
        Err(full) => {
            room.tell(&origin, full);
            visit.turn_away(full);
            // It keeps its slot, and takes nobody's room but a stranger's while it is told.
            tokio::select! {
                () = slot.sent_away() => {}
                _ = timeout(LAST_REFUSAL, serving) => {}
            }
            return closer.close();
        }
    };
    drop(slot);
    tokio::select! {
        () = serving.as_mut() => {}
        () = service.departed(&visit) => {
            tracing::info!("cut the connection of a client that was revoked or may do less now, from {origin}");
            // The call that revoked it may be its own, and is answered yet. No new one is admitted.
            let _ = timeout(LAST_ANSWER, serving).await;
            closer.close();
        }
    }
}

/// Serves all streams of a connection. A transport bounds how many there are; a stranger is served one at a time.
async fn serve_connection(
    mut connection: Box<dyn Connection>,
    service: Arc<Service>,
    visit: Arc<Visit>,
    stop: CancellationToken,
) {
    // A connection may live for long and have many streams, of which few at a time: nothing is kept of the others.
    let streams = TaskTracker::new();
    while let Some(stream) = tokio::select! {
        () = stop.cancelled() => None,
        stream = connection.next_stream() => stream,
    } {
        let served =
            streams.spawn(serve_stream(stream, Arc::clone(&service), Arc::clone(&visit), stop.clone()));
        tokio::select! {
            () = visit.admitted() => {}
            _ = served => {}
            () = stop.cancelled() => break,
        }
    }
    streams.close();
    streams.wait().await;
}

async fn serve_stream(stream: Stream, service: Arc<Service>, visit: Arc<Visit>, stop: CancellationToken) {
    let answer = service_fn(|request| {
        let (service, visit) = (Arc::clone(&service), Arc::clone(&visit));
        async move { Ok::<_, std::convert::Infallible>(service.answer(visit, request).await) }
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
        tracing::debug!("a connection from {} ended: {}", visit.caller().channel, with_causes(&error));
    }
}

#[cfg(test)]
mod tests {
    use auth_core::{ClientCertificate, Level};
    use transport::testkit::certificates::TestIdentity;

    use super::*;
    use crate::limits::quota::{Held, Holder};

    #[test]
    fn a_client_has_a_share_of_the_places_and_the_last_are_kept() {
        let holder = |level| {
            let der = TestIdentity::client().certificate().to_vec();
            Holder::Client(ClientCertificate::from_der(der).unwrap().fingerprint(), level)
        };
        for (descriptors, share, for_readers, for_full) in
            [(FEWEST_DESCRIPTORS, 2, 6, 1), (160, 12, 36, 6), (1024, 96, 416, 32), (1 << 20, 96, 960, 32)]
        {
            let room = Room::within(descriptors);
            let mut held: Vec<Held> = Vec::new();
            let mut fill = |level, expected: usize| {
                let before = held.len();
                loop {
                    let one = holder(level);
                    let own: Vec<Held> =
                        std::iter::from_fn(|| room.clients.take(one, 1).ok()).take(10_000).collect();
                    assert!(own.len() <= share, "{descriptors}: {}", own.len());
                    if own.is_empty() {
                        break;
                    }
                    held.extend(own);
                }
                assert_eq!(held.len() - before, expected, "{descriptors}: {level}");
            };
            fill(Level::ReadOnly, for_readers);
            fill(Level::Full, for_full);
            assert!(room.clients.take(Holder::Root, 1).is_ok(), "{descriptors}");
        }
    }
}
