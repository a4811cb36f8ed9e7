//! Keeping time for tokens: those that have expired are taken out, and how late it is for the others is written down,
//! so that a clock that is set back gives them little.

use std::sync::Arc;
use std::time::Duration;

use auth_core::{FileStore, Moment};
use tokio::time::sleep;

use crate::logging::with_causes;

/// How often they are looked at. It costs no file as long as none has ended.
const INTERVAL: Duration = Duration::from_secs(60);
/// How much time a token may be given by a daemon that is killed and a clock that is set back.
const MUCH: Duration = Duration::from_secs(10 * 60);

/// Keeps time. Never completes.
pub(crate) async fn tend(store: Arc<FileStore>) {
    loop {
        write_down_if(&store, MUCH).await;
        sleep(INTERVAL).await;
    }
}

/// Writes down how late it is, as the daemon stops.
pub(crate) async fn write_down(store: Arc<FileStore>) {
    write_down_if(&store, Duration::ZERO).await;
}

async fn write_down_if(store: &Arc<FileStore>, much: Duration) {
    let store = Arc::clone(store);
    let tend = move || {
        if let Err(error) = store.tend_tokens(Moment::now(), much) {
            tracing::warn!("how late it is for tokens cannot be written down: {}", with_causes(&error));
        }
    };
    let _ = tokio::task::spawn_blocking(tend).await;
}
