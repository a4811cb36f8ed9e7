//! One peer's connection, from its handshake to its end: as long as the peer is not admitted it may have to make room for
//! others, and once it is, its connection is within its client's quota. What it calls is not seen here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use transport::{Connection, Incoming};

use super::{Limits, http2};
use crate::limits::unauthenticated::Slot;
use crate::logging::with_causes;
use crate::service::{Service, caller_of};

/// How long a peer may take for its handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may stay without being admitted: time for a person to be asked for the
/// passphrase, and for a few tries.
const ADMISSION_DEADLINE: Duration = Duration::from_secs(60);
/// How long a client whose connection is beyond its quota is told so: time for its first call to come.
const REJECTION_LINGER: Duration = Duration::from_secs(1);
/// How long the connection of a client that is no longer trusted is kept for an answer under way.
const REVOCATION_GRACE: Duration = Duration::from_millis(200);

/// Serves a peer that holds a slot, until it or the service ends.
pub(super) async fn serve(
    incoming: Box<dyn Incoming>,
    slot: Slot,
    limits: Limits,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let origin = incoming.origin().clone();
    let connection = tokio::select! {
        // Who is through in time is not turned away.
        biased;
        () = stop.cancelled() => return,
        connection = handshake(incoming) => connection,
        () = slot.evicted() => return tracing::debug!("{origin}: dropped to make room for another peer"),
    };
    let Some(connection) = connection else { return };
    let session = match caller_of(connection.peer()) {
        Ok(caller) => Arc::new(service.begin_session(caller)),
        Err(error) => return tracing::debug!("{origin}: {error}"),
    };

    let closer = connection.closer();
    let serving = http2::serve(connection, Arc::clone(&service), Arc::clone(&session), stop);
    let mut serving = std::pin::pin!(serving);
    // As long as the peer is not admitted it keeps its slot, and with it may have to go.
    tokio::select! {
        biased;
        // First: who is admitted for its certificate is served nothing before its connection is within its quota.
        () = session.admitted() => {}
        () = serving.as_mut() => return,
        reason = removal(&slot) => {
            tracing::debug!("{origin}: {reason}");
            return closer.close();
        }
    }
    let Some(principal) = session.principal() else { return closer.close() };
    let _reservation = match limits.clients.reserve(principal, 1) {
        Ok(reservation) => reservation,
        Err(exceeded) => {
            limits.warn_refused(&origin, exceeded);
            session.reject(exceeded);
            // While it is told, it keeps its slot: it takes room from peers that are not authenticated, and from no client.
            tokio::select! {
                () = slot.evicted() => {}
                _ = timeout(REJECTION_LINGER, serving) => {}
            }
            return closer.close();
        }
    };
    drop(slot);
    tokio::select! {
        () = serving.as_mut() => {}
        () = service.trust_withdrawn(&session) => {
            tracing::info!("cut the connection of a client that was revoked or may do less now, from {origin}");
            // The call that revoked it may be its own, and is answered yet. No new one is admitted.
            let _ = timeout(REVOCATION_GRACE, serving).await;
            closer.close();
        }
    }
}

/// A peer's connection once it is encrypted and the peer's certificate is proven; none if that does not come about.
async fn handshake(incoming: Box<dyn Incoming>) -> Option<Box<dyn Connection>> {
    let origin = incoming.origin().clone();
    match timeout(HANDSHAKE_DEADLINE, incoming.handshake()).await {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => tracing::debug!("{origin}: {}", with_causes(&error)),
        Err(_) => tracing::debug!("{origin}: no handshake within {HANDSHAKE_DEADLINE:?}"),
    }
    None
}

/// Completes when a peer has to go that is not admitted, and says why.
async fn removal(slot: &Slot) -> String {
    tokio::select! {
        biased;
        () = slot.evicted() => "dropped to make room for another peer".to_owned(),
        () = sleep(ADMISSION_DEADLINE) => format!("not admitted within {ADMISSION_DEADLINE:?}"),
    }
}
