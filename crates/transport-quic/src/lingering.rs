//! What is left of connections that are over: bounded in number and time.
//!
//! quinn answers for a closed connection as long as it takes some of its datagrams to be still on the way (RFC 9000,
//! 10.2), and takes the peer's word for how long that may be: up to 49 s by its `max_ack_delay`. Whoever has left,
//! or was sent away, is not to decide how long it is remembered. quinn runs each connection in a task until nothing
//! is left of it, and forgets it at once when that task is dropped, so here the tasks are bounded.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connecting, ConnectionError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task_local;
use tokio::time::sleep;

/// Connections, with those that are over: as many as a daemon serves at once, and more than half of that again.
const MAX_CONNECTIONS: usize = 2048;

/// How long something is left of a connection that nobody uses any more. Enough for the peer to be told that it has
/// ended; a datagram that comes later is answered by a stateless reset.
const LINGER: Duration = Duration::from_secs(1);

task_local! {
    /// For the connection whose task is spawned next.
    static NEXT: Cell<Option<Task>>;
}

/// Room for connections, with what is left of them.
#[derive(Debug)]
pub(crate) struct Places(Arc<Semaphore>);

/// One connection's place, until nothing is left of it.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

/// Held by whoever uses a connection.
#[derive(Debug)]
pub(crate) struct InUse(
    #[expect(dead_code, reason = "its end is what it tells")] oneshot::Sender<Infallible>,
);

/// What a connection's task is bounded by.
struct Task {
    place: Place,
    in_use: oneshot::Receiver<Infallible>,
}

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONNECTIONS)))
    }
}

impl Places {
    /// A place, as soon as there is one. `None` never comes: nobody closes these. Cancel-safe.
    pub(crate) async fn enter(&self) -> Option<Place> {
        Arc::clone(&self.0).acquire_owned().await.ok().map(Place)
    }
}

impl Place {
    /// Begins a handshake. The place is given back soon after the connection is used no more.
    pub(crate) fn accept(self, incoming: quinn::Incoming) -> Result<(Connecting, InUse), ConnectionError> {
        let (in_use, task) = self.task();
        // quinn spawns the task in here, by this crate's runtime.
        let connecting = NEXT.sync_scope(Cell::new(Some(task)), || incoming.accept())?;
        Ok((connecting, in_use))
    }

    fn task(self) -> (InUse, Task) {
        let (sender, in_use) = oneshot::channel();
        (InUse(sender), Task { place: self, in_use })
    }
}

impl Task {
    async fn run(self, connection: impl Future<Output = ()>) {
        let left = async {
            let Err(_over) = self.in_use.await;
            sleep(LINGER).await;
        };
        tokio::select! {
            () = connection => {}
            () = left => {}
        }
        drop(self.place);
    }
}

/// quinn's `task`, bounded if it is an accepted connection's; an endpoint's own is left as it is.
pub(crate) fn bounded(
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match NEXT.try_with(Cell::take) {
        Ok(Some(bounds)) => Box::pin(bounds.run(task)),
        _ => task,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, timeout};

    use super::*;

    /// However long the peer would have it remembered.
    #[tokio::test(start_paused = true)]
    async fn a_place_is_given_back_soon_after_its_connection_is_used_no_more() {
        let places = Places(Arc::new(Semaphore::new(1)));
        let (in_use, task) = places.enter().await.unwrap().task();
        let running = tokio::spawn(task.run(pending()));
        let taken = timeout(100 * LINGER, places.enter()).await;
        assert!(taken.is_err(), "it is in use");

        drop(in_use);
        let over = Instant::now();
        let place = places.enter().await.unwrap();
        assert_eq!(over.elapsed(), LINGER);
        running.await.unwrap();

        // At once where nothing is left of it.
        let (_in_use, task) = place.task();
        task.run(ready(())).await;
        assert!(timeout(Duration::ZERO, places.enter()).await.is_ok());
    }
}
