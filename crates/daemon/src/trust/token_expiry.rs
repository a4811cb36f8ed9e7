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
const MAX_UNRECORDED: Duration = Duration::from_secs(10 * 60);

/// Takes out what has expired, and writes down how late it is, from time to time. Never completes.
pub(crate) async fn run(store: Arc<FileStore>) {
    loop {
        record_time_if(&store, MAX_UNRECORDED).await;
        sleep(INTERVAL).await;
    }
}

/// Writes down how late it is, as the daemon stops.
pub(crate) async fn record_time(store: Arc<FileStore>) {
    record_time_if(&store, Duration::ZERO).await;
}

async fn record_time_if(store: &Arc<FileStore>, least: Duration) {
    let store = Arc::clone(store);
    let record = move || {
        if let Err(error) = store.tend_tokens(Moment::now(), least) {
            tracing::warn!("how late it is for tokens cannot be written down: {}", with_causes(&error));
        }
    };
    let _ = tokio::task::spawn_blocking(record).await;
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::{Instant, SystemTime};

    use auth_core::{Actor, Change, Level, Outcome, Token, TokenSecret, TrustStore};
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A store with a token for an hour that was made so long ago.
    struct StoreWithToken {
        store: Arc<FileStore>,
        directory: TempDir,
    }

    impl StoreWithToken {
        fn since(ago: Duration) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = FileStore::open(directory.path(), SystemTime::now(), |_| {}).unwrap();
            let hash = TokenSecret::generate().unwrap().hash();
            let created = SystemTime::now() - ago;
            let (id, expires, by) = (hash.id(), created + 60 * MINUTE, Actor::Administrator);
            let token = Token { id, name: None, level: Level::ReadOnly, created, expires, by };
            let at = Moment { clock: created, running: Instant::now() };
            let create = Change::CreateToken { hash, token, at };
            assert_eq!(store.change(&create, &mut || Ok(())).unwrap(), Outcome::Changed);
            Self { store: Arc::new(store), directory }
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join("authenticated-certs/tokens")
        }

        fn text(&self) -> String {
            fs::read_to_string(self.file()).unwrap()
        }

        async fn becomes(&self, what: impl Fn(&str) -> bool) {
            let is_so = async {
                while !what(&self.text()) {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(MINUTE, is_so).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_has_expired_is_taken_out_and_for_the_rest_it_is_written_down_how_late_it_is() {
        let (over, old) = (StoreWithToken::since(61 * MINUTE), StoreWithToken::since(11 * MINUTE));
        let before = old.text();
        let running = [&over, &old].map(|stored| tokio::spawn(run(Arc::clone(&stored.store))));
        over.becomes(str::is_empty).await;
        old.becomes(|text| !text.is_empty() && text != before).await;
        running.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn as_the_daemon_stops_it_is_written_down_however_little_later_it_is() {
        let stored = StoreWithToken::since(Duration::ZERO);
        let before = stored.text();
        record_time_if(&stored.store, MAX_UNRECORDED).await;
        assert_eq!(stored.text(), before);
        record_time(Arc::clone(&stored.store)).await;
        assert_ne!(stored.text(), before);
    }
}
