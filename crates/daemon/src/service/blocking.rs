//! Work that reads, writes or hashes: not on the threads that serve connections, and where it costs much, in turn.

use std::sync::Arc;

use auth_core::Authority;
use tokio::sync::Semaphore;
use tonic::Status;

use super::{Service, status};

impl Service {
    /// Runs what reads, writes or hashes off the threads that serve connections. It goes on to its end
    /// even if the caller leaves.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let authority = Arc::clone(&self.authority);
        tokio::task::spawn_blocking(move || work(&authority)).await.map_err(|_| status::internal())
    }

    /// As [`Self::blocking`], for what waits for one of the `permits`.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let permit = Arc::clone(permits).acquire_owned().await.map_err(|_| status::internal())?;
        self.blocking(move |authority| {
            // The work, not the wait for it, holds the permit: a caller who leaves frees nothing early.
            let _permit = permit;
            work(authority)
        })
        .await
    }
}
