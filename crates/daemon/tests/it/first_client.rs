//! Sixteen clients want to be the first, at the same moment. One is.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use auth_core::testkit::MemoryStore;
use auth_core::{Actor, Change, Condition, Enrolment, FileStore, Outcome, StoreError, TrustStore};
use tokio::sync::Barrier;
use tonic::Code;

use crate::support::{TestService, ask_the_store, one, request};

const CLIENTS: usize = 16;
const ROUNDS: usize = 50;

/// How many of the clients are let in. Handshakes are finished; a barrier; then the calls.
async fn let_in(store: impl TrustStore + 'static) -> usize {
    let service = TestService::start(store).await;
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let mut calls = Vec::new();
    for _ in 0..CLIENTS {
        let (mut client, barrier) = (service.client().await, Arc::clone(&barrier));
        calls.push(tokio::spawn(async move {
            barrier.wait().await;
            one(client.list(request(rpc::ListRequest::default()))).await
        }));
    }
    let mut accepted = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(status) => assert_eq!(status.code(), Code::Unauthenticated, "{status:?}"),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_is_enrolled_each_time() {
    for round in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path(), SystemTime::now(), |_| {}).unwrap();
        assert_eq!(let_in(store).await, 1, "round {round}");
        let file = directory.path().join("authenticated-certs/multipass_client_certs.pem");
        let stored = std::fs::read_to_string(file).unwrap();
        assert_eq!(stored.matches("-----BEGIN CERTIFICATE-----").count(), 1, "round {round}");
    }
}

/// The test above is worth something only if it fails for a store that checks, and then adds.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_test_finds_a_store_that_checks_and_then_adds() {
    assert!(let_in(CheckThenAdd::default()).await > 1);
}

/// The flaw, planted: between its check and its addition another caller can pass the check. The gap
/// lasts until one has, so that the test does not depend on luck.
#[derive(Debug, Default)]
struct CheckThenAdd {
    store: MemoryStore,
    passed: Mutex<usize>,
    another: Condvar,
}

impl TrustStore for CheckThenAdd {
    ask_the_store!();

    fn change(
        &self,
        change: &Change<'_>,
        record: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<Outcome, StoreError> {
        if !self.store.is_armed() {
            return Ok(Outcome::ConditionFailed);
        }
        let mut passed = self.passed.lock().unwrap();
        *passed += 1;
        self.another.notify_all();
        let (passed, _) =
            self.another.wait_timeout_while(passed, Duration::from_secs(10), |passed| *passed < 2).unwrap();
        drop(passed);
        // It adds without looking once more.
        let Change::Enrol(enrolment) = change else { return self.store.change(change, record) };
        let condition = Condition::WantedBy(Actor::Administrator);
        self.store.change(&Change::Enrol(Enrolment { condition, ..*enrolment }), record)
    }
}
