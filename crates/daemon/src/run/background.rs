//! What goes on beside serving for as long as the daemon runs, and is brought to an end when it stops.

use std::sync::Arc;
use std::time::Duration;

use auth_core::FileStore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::audit::RefusalWriter;
use crate::trust::last_seen::{self, LastSeenFile};
use crate::trust::presence::Presence;
use crate::trust::token_expiry;

/// How long the last refusals may take to be written when the daemon stops.
pub(super) const REFUSALS_DEADLINE: Duration = Duration::from_secs(2);

/// Tasks that have something left to write when the daemon stops.
pub(super) struct Background {
    store: Arc<FileStore>,
    last_seen: LastSeenFile,
    presence: Presence,
    last_seen_task: JoinHandle<()>,
    token_task: JoinHandle<()>,
    refusal_task: JoinHandle<()>,
    stop_refusals: CancellationToken,
}

impl Background {
    pub(super) fn spawn(
        store: Arc<FileStore>,
        last_seen: LastSeenFile,
        presence: Presence,
        refusals: RefusalWriter,
    ) -> Self {
        let stop_refusals = CancellationToken::new();
        Self {
            last_seen_task: tokio::spawn(last_seen::keep(
                last_seen.clone(),
                presence.clone(),
                Arc::clone(&store),
            )),
            token_task: tokio::spawn(token_expiry::run(Arc::clone(&store))),
            refusal_task: tokio::spawn(refusals.run(stop_refusals.clone())),
            store,
            last_seen,
            presence,
            stop_refusals,
        }
    }

    /// Ends the tasks, and writes what they have not. To be called after the last call was answered or refused.
    pub(super) async fn finish(self) {
        self.last_seen_task.abort();
        last_seen::write(self.last_seen, self.presence, Arc::clone(&self.store)).await;
        self.token_task.abort();
        token_expiry::record_time(self.store).await;
        self.stop_refusals.cancel();
        if timeout(REFUSALS_DEADLINE, self.refusal_task).await.is_err() {
            tracing::warn!("timed out writing the last refusals");
        }
    }
}
