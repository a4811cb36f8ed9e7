//! Taking notice of clients that an administrator adds to the trust file, or removes from it.
//!
//! On SIGHUP, and by itself: a look at the file's metadata from time to time, for an administrator who
//! does not know of the signal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{FileStore, TrustStore};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::gate::SocketGate;
use crate::logging::with_causes;
use crate::platform::Hangups;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// A file that has not changed for this long is no longer being written.
const SETTLED: Duration = Duration::from_millis(200);

/// Keeps `store` as its files are, and `gate` as the store says. Never completes.
pub(crate) async fn follow(
    store: Arc<FileStore>,
    gate: SocketGate,
    mut departures: watch::Receiver<()>,
    mut hangups: Hangups,
) {
    loop {
        tokio::select! {
            () = hangups.next() => {}
            // The last client may have been revoked, or the first one found at somebody else's change.
            Ok(()) = departures.changed() => {
                set_gate(&store, &gate).await;
                continue;
            }
            () = sleep(INTERVAL) => {
                if look(&store, FileStore::is_stale).await != Some(true) {
                    continue;
                }
                // Half of an editor's or a copy's work is not what the administrator meant.
                let mut before = look(&store, FileStore::stamp).await;
                loop {
                    sleep(SETTLED).await;
                    let now = look(&store, FileStore::stamp).await;
                    if now == before {
                        break;
                    }
                    before = now;
                }
            }
        }
        reload(&store, &gate).await;
    }
}

/// Asks the store, off the threads that serve connections. A panic there is as good as no news.
async fn look<T: Send + 'static>(
    store: &Arc<FileStore>,
    question: impl FnOnce(&FileStore) -> T + Send + 'static,
) -> Option<T> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || question(&store)).await.ok()
}

async fn reload(store: &Arc<FileStore>, gate: &SocketGate) {
    let read = Arc::clone(store);
    match tokio::task::spawn_blocking(move || read.reload()).await {
        Ok(Ok(())) => tracing::info!("read the trusted clients again"),
        Ok(Err(error)) => {
            return tracing::error!("the trusted clients stay as they were: {}", with_causes(&error));
        }
        Err(error) => return tracing::error!("reading the trusted clients again: {error}"),
    }
    set_gate(store, gate).await;
}

/// Lets in whom the store says.
async fn set_gate(store: &Arc<FileStore>, gate: &SocketGate) {
    let (store, gate) = (Arc::clone(store), gate.clone());
    let set = tokio::task::spawn_blocking(move || {
        // A client may be enrolled, and the gate opened, between the question and its answer's effect.
        let mut empty = store.is_empty();
        loop {
            gate.set(empty)?;
            if store.is_empty() == empty {
                return Ok::<_, io::Error>(());
            }
            empty = store.is_empty();
        }
    });
    if let Err(error) = set.await.unwrap_or_else(|panic| Err(panic.into())) {
        tracing::error!("cannot set who may reach the socket: {error}");
    }
}
