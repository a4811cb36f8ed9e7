//! Taking notice of clients that an administrator adds to the trust file, or removes from it.
//!
//! On SIGHUP, and by itself: a look at the file's metadata from time to time, for an administrator who
//! does not know of the signal.

use std::sync::Arc;
use std::time::Duration;

use auth_core::{FileStore, TrustStore};
use tokio::time::sleep;

use crate::gate::SocketGate;
use crate::logging::with_causes;
use crate::platform::Hangups;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// A file that has not changed for this long is no longer being written.
const SETTLED: Duration = Duration::from_millis(200);

/// Keeps `store` as its files are, and `gate` as the store says. Never completes.
pub(crate) async fn follow(store: Arc<FileStore>, gate: SocketGate, mut hangups: Hangups) {
    loop {
        tokio::select! {
            () = hangups.next() => {}
            () = sleep(INTERVAL) => {
                if !look(&store, FileStore::is_stale).await {
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
async fn look<T: Default + Send + 'static>(store: &Arc<FileStore>, question: fn(&FileStore) -> T) -> T {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || question(&store)).await.unwrap_or_default()
}

async fn reload(store: &Arc<FileStore>, gate: &SocketGate) {
    let (store, gate) = (Arc::clone(store), gate.clone());
    let reloaded = tokio::task::spawn_blocking(move || {
        match store.reload() {
            Ok(()) => tracing::info!("read the trusted clients again"),
            Err(error) => {
                return tracing::error!("the trusted clients stay as they were: {}", with_causes(&error));
            }
        }
        // A client may be enrolled, and the gate opened, between the question and its answer's effect.
        let mut empty = store.is_empty();
        loop {
            if let Err(error) = gate.set(empty) {
                return tracing::error!("cannot set who may reach the socket: {error}");
            }
            if store.is_empty() == empty {
                return;
            }
            empty = store.is_empty();
        }
    });
    if let Err(error) = reloaded.await {
        tracing::error!("reading the trusted clients again: {error}");
    }
}
