//! Taking notice of clients that an administrator adds to the trust file, or removes from it.
//!
//! On SIGHUP, and by itself: a look at the file's metadata from time to time, for an administrator who
//! does not know of the signal.

use std::sync::Arc;
use std::time::Duration;

use auth_core::FileStore;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::logging::with_causes;
use crate::platform::Hangups;
use crate::trust::socket_gate::SocketGate;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// A file that has not changed for this long is no longer being written.
const SETTLED: Duration = Duration::from_millis(200);
/// How often that is waited for. A file that is always being written is then read as it is.
const MAX_SETTLE_CHECKS: u32 = 25;

/// Keeps `store` as its files are, and `gate` as the store says. Never completes.
pub(crate) async fn follow(
    store: Arc<FileStore>,
    gate: SocketGate,
    mut trust_changes: watch::Receiver<()>,
    mut hangups: Hangups,
) {
    // What is wrong with the files, as it was last told: each look finds it again, until it is fixed.
    let mut reported = None;
    loop {
        tokio::select! {
            // Who asks is told in any case.
            () = hangups.next() => reported = None,
            // The last client may have been revoked, or the first one found at somebody else's change.
            Ok(()) = trust_changes.changed() => {
                set_gate(&gate).await;
                continue;
            }
            () = sleep(INTERVAL) => {
                if query_store(&store, FileStore::is_stale).await != Some(true) {
                    reported = None;
                    continue;
                }
                wait_until_settled(&store).await;
            }
        }
        match reload(&store).await {
            Ok(()) => {
                reported = None;
                tracing::info!("read the trusted clients again");
                set_gate(&gate).await;
            }
            Err(fault) if reported.as_ref() == Some(&fault) => {}
            Err(fault) => {
                tracing::error!("the trusted clients stay as they were: {fault}");
                reported = Some(fault);
            }
        }
    }
}

/// Waits for others to finish: half of an editor's or a copy's work is not what the administrator meant.
async fn wait_until_settled(store: &Arc<FileStore>) {
    let mut before = query_store(store, FileStore::stamp).await;
    for _ in 0..MAX_SETTLE_CHECKS {
        sleep(SETTLED).await;
        let now = query_store(store, FileStore::stamp).await;
        if now == before {
            return;
        }
        before = now;
    }
}

/// Asks the store, off the threads that serve connections. A panic there is as good as no news.
async fn query_store<T: Send + 'static>(
    store: &Arc<FileStore>,
    question: impl FnOnce(&FileStore) -> T + Send + 'static,
) -> Option<T> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || question(&store)).await.ok()
}

/// Reads the files again; what was wrong is told in words.
async fn reload(store: &Arc<FileStore>) -> Result<(), String> {
    let store = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || store.reload().map_err(|error| with_causes(&error)));
    read.await.unwrap_or_else(|panic| Err(panic.to_string()))
}

async fn set_gate(gate: &SocketGate) {
    let gate = gate.clone();
    let set = tokio::task::spawn_blocking(move || gate.set());
    if let Err(error) = set.await.unwrap_or_else(|panic| Err(panic.into())) {
        tracing::error!("cannot set who may reach the socket: {error}");
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::{self, Write};
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::time::SystemTime;

    use auth_core::{ClientCertificate, TrustStore};
    use tempfile::TempDir;
    use tokio::time::timeout;
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn count(&self, part: &str) -> usize {
            String::from_utf8_lossy(&self.0.lock().unwrap()).matches(part).count()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A store that is followed while time flies: a minute takes as long as the looks in it do.
    struct FollowedStore {
        store: Arc<FileStore>,
        log: Log,
        directory: TempDir,
    }

    impl FollowedStore {
        async fn new() -> (Self, tracing::subscriber::DefaultGuard) {
            let directory = tempfile::tempdir().unwrap();
            let store = Arc::new(FileStore::open(directory.path(), SystemTime::now(), |_| {}).unwrap());
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
            let logging = tracing::subscriber::set_default(subscriber);
            let gate = SocketGate::new(None, Arc::<FileStore>::clone(&store));
            let (news, trust_changes) = watch::channel(());
            let followed = Arc::clone(&store);
            tokio::spawn(async move {
                let _kept = news;
                follow(followed, gate, trust_changes, Hangups::new().unwrap()).await;
            });
            (Self { store, log, directory }, logging)
        }

        fn clients(&self) -> PathBuf {
            self.directory.path().join("authenticated-certs/multipass_client_certs.pem")
        }

        async fn logs(&self, part: &str, times: usize) {
            let logged = async {
                while self.log.count(part) < times {
                    sleep(SETTLED).await;
                }
            };
            let text = || String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned();
            timeout(Duration::from_secs(60), logged).await.unwrap_or_else(|_| panic!("{part}: {}", text()));
        }
    }

    const FAULT: &str = "the trusted clients stay as they were";
    const READ: &str = "read the trusted clients again";

    #[tokio::test(start_paused = true)]
    async fn what_stays_wrong_is_logged_once_and_again_when_it_is_something_else() {
        let (followed, _logging) = FollowedStore::new().await;
        let passphrase = followed.clients().with_file_name("passphrase.phc");
        let minute = Duration::from_secs(60);
        for round in 0..2 {
            fs::create_dir(followed.clients()).unwrap();
            sleep(minute).await;
            assert_eq!(followed.log.count(FAULT), 2 * round + 1);
            fs::remove_dir(followed.clients()).unwrap();
            fs::write(&passphrase, "no hash").unwrap();
            sleep(minute).await;
            assert_eq!(followed.log.count(FAULT), 2 * round + 2);
            // Once it was fixed, the same is news: be it as it was before, or otherwise.
            match round {
                0 => fs::remove_file(&passphrase).unwrap(),
                _ => fs::write(&passphrase, "").unwrap(),
            }
            sleep(minute).await;
            assert_eq!((followed.log.count(FAULT), followed.log.count(READ)), (2 * round + 2, round));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_always_being_written_is_read_all_the_same() {
        let (followed, _logging) = FollowedStore::new().await;
        let path = followed.clients();
        let client = ClientCertificate::from_der(TestIdentity::client().certificate().to_vec()).unwrap();
        fs::write(&path, client.to_pem()).unwrap();
        tokio::spawn(async move {
            loop {
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"# and more\n").unwrap();
                sleep(SETTLED / 2).await;
            }
        });
        followed.logs(READ, 1).await;
        assert!(followed.store.contains(&client.fingerprint()));
    }
}
