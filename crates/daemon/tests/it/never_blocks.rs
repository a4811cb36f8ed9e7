//! Files and hashes never hold up the threads that serve connections: with one such thread and a store
//! that is stuck, another client is still answered.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::testkit::MemoryStore;
use auth_core::{Actor, Change, Outcome, Passphrase, PassphraseHash, StoreError, TrustStore};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{TestService, ask_the_store, one, request};

const DEADLINE: Duration = Duration::from_secs(20);

/// A store whose changes say that they have begun, and then wait for leave to go on.
#[derive(Debug)]
struct BlockingStore {
    store: Arc<MemoryStore>,
    begun: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl BlockingStore {
    fn wait(&self) {
        self.begun.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

impl TrustStore for BlockingStore {
    ask_the_store!();

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        self.wait();
        self.store.change(change, record)
    }
}

#[test]
fn a_ping_is_answered_while_the_store_is_stuck() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Spawned, so that the test's own work shares the one thread instead of adding another.
    let story = runtime.spawn(async {
        let (begun, has_begun) = channel();
        let (leave, go_on) = channel();
        let store = Arc::new(MemoryStore::new());
        let right = PassphraseHash::of(&passphrase("right")).unwrap();
        store
            .change(&Change::SetPassphrase { passphrase: Some(right), by: Actor::Administrator }, &mut || {
                Ok(())
            })
            .unwrap();
        let service = TestService::start(BlockingStore { store, begun, go_on: Mutex::new(go_on) }).await;
        let has_begun = Arc::new(Mutex::new(has_begun));

        // Enrolling the first client, enrolling by passphrase, and setting the passphrase.
        let mut first = service.client().await;
        let mut caller = first.clone();
        let stuck =
            tokio::spawn(async move { one(caller.list(request(Default::default()))).await.map(drop) });
        ping_meanwhile(&service, &has_begun, Code::Unauthenticated).await;
        leave.send(()).unwrap();
        stuck.await.unwrap().unwrap();

        let mut second = service.client().await;
        let stuck = tokio::spawn(async move {
            let right = rpc::AuthenticateRequest { passphrase: "right".to_owned(), verbosity_level: 0 };
            one(second.authenticate(request(right))).await.map(drop)
        });
        ping_meanwhile(&service, &has_begun, Code::Unauthenticated).await;
        leave.send(()).unwrap();
        stuck.await.unwrap().unwrap();

        let stuck = tokio::spawn(async move {
            let set = rpc::SetRequest {
                key: "local.passphrase".to_owned(),
                val: "new".to_owned(),
                verbosity_level: 0,
                authorized: false,
            };
            one(first.set(request(set))).await.map(drop)
        });
        ping_meanwhile(&service, &has_begun, Code::Unauthenticated).await;
        leave.send(()).unwrap();
        stuck.await.unwrap().unwrap();
    });
    runtime.block_on(story).unwrap();
}

/// Waits until a change is stuck in the store; then a stranger's ping must be answered.
async fn ping_meanwhile(service: &TestService, begun: &Arc<Mutex<Receiver<()>>>, expected: Code) {
    let begun = Arc::clone(begun);
    tokio::task::spawn_blocking(move || begun.lock().unwrap().recv_timeout(DEADLINE).unwrap()).await.unwrap();
    let ping = async { service.client().await.ping(rpc::PingRequest {}).await };
    let status = timeout(DEADLINE, ping).await.expect("the ping is answered").unwrap_err();
    assert_eq!(status.code(), expected);
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned().into()).unwrap()
}
