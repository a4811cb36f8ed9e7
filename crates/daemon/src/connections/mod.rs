//! Connections: peers are accepted, and each is served on its own until it ends or has to go. How many there may be is
//! in `limits`, what they may call in `service`, and how bytes get here in the transports.

mod http2;
mod peer;
pub(crate) mod transports;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth_core::Source;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use transport::{AcceptError, Listener, Origin};

use crate::limits::capacity::Capacity;
use crate::limits::quota::{Quota, QuotaExceeded};
use crate::limits::unauthenticated::UnauthenticatedPeers;
use crate::logging::{LogRateLimit, with_causes};
use crate::platform;
use crate::service::{Service, channel_of};

/// The pause after accepting failed, for descriptors to be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long calls in progress may go on when the daemon stops.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// What bounds a daemon's connections. Clones are one.
#[derive(Clone)]
struct Limits {
    unauthenticated: UnauthenticatedPeers,
    clients: Quota,
    /// How often clients' connections were refused, by the cause.
    refused: Arc<Mutex<BTreeMap<QuotaExceeded, LogRateLimit>>>,
    /// All connections, until they are closed.
    connections: Arc<Semaphore>,
}

impl Limits {
    fn within(capacity: Capacity) -> Self {
        Self {
            unauthenticated: UnauthenticatedPeers::new(capacity.unauthenticated),
            clients: capacity.client_connections(),
            refused: Arc::default(),
            connections: Arc::new(Semaphore::new(capacity.connections())),
        }
    }

    /// Logs that a client's connection was refused, if that was not logged just before.
    fn warn_refused(&self, origin: &Origin, exceeded: QuotaExceeded) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = refused.entry(exceeded).or_default().occurred() {
            tracing::warn!(
                "refused a connection of a trusted client from {origin}: {exceeded} ({times} refused for that since it \
                 was said last)"
            );
        }
    }
}

/// Serves the listeners' peers until `stop`, then lets calls in progress finish for a while. All listeners
/// share the limits. A listener that ends by itself ends them all: a daemon that no longer listens
/// where it was told to should be seen to have failed.
pub async fn serve(listeners: Vec<Box<dyn Listener>>, service: Arc<Service>, stop: CancellationToken) {
    let limits = Limits::within(Capacity::within(platform::raise_descriptor_limit()));
    let end = stop.child_token();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, limits.clone(), Arc::clone(&service), end.clone()));
    }
    while accepting.join_next().await.is_some() {
        end.cancel();
    }
}

async fn accept(
    mut listener: Box<dyn Listener>,
    limits: Limits,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let mut accept_errors = LogRateLimit::default();
    loop {
        // Who has to go goes soon, so there is room soon.
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&limits.connections).acquire_owned() => permit,
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
                    slot = limits.unauthenticated.acquire(Source::of(&channel)) => slot,
                };
                let serving = peer::serve(incoming, slot, limits.clone(), Arc::clone(&service), stop.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error @ AcceptError::Transient(_)) => {
                // Peers can bring it about, and let it succeed in between.
                if accept_errors.occurred().is_some() {
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
