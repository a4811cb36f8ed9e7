//! A service with instances whose machines are in memory, and its first client.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_core::testkit::MemoryStore;
use daemon::machines::Machines;
use instances::testkit::MemoryDriver;
use instances::{ImageStore, Instances, Limits, Registry};
use rpc::instances::instances_client::InstancesClient;
use rpc::list_reply::ListContents;
use rpc::rpc_client::RpcClient;
use rpc::{InstanceNames, InstanceSnapshotPair, LaunchReply, LaunchRequest};
use tempfile::TempDir;
use tonic::{Response, Status, Streaming};

use crate::support::{ORIGIN, TestConnection, TestService, request};

/// For what happens beside the calls.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct MachinesFixture {
    pub(super) driver: Arc<MemoryDriver>,
    pub(super) client: RpcClient<TestConnection>,
    /// The same client's.
    pub(super) instances: InstancesClient<TestConnection>,
    pub(super) service: TestService,
    directory: TempDir,
}

impl MachinesFixture {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = Arc::new(MemoryDriver::new());
        let registry = Arc::new(Registry::open(&directory.path().join("instances")).unwrap());
        let images = Arc::new(ImageStore::open(&directory.path().join("vault"), 8 << 20).unwrap());
        let roots = rustls::RootCertStore::empty();
        let fetcher = fetch::Client::trusting(roots, fetch::Limits::default()).unwrap();
        let running = Arc::<MemoryDriver>::clone(&driver);
        let instances =
            Instances::open(registry, images, running, fetcher, Limits::default(), |_, _| {}).await;
        let service = TestService::serving(MemoryStore::new(), Machines::of(instances)).await;
        let connection = service.connection().await;
        let origin = http::Uri::from_static(ORIGIN);
        let client = RpcClient::with_origin(connection.clone(), origin.clone());
        let tunnels = InstancesClient::with_origin(connection, origin);
        let mut bytes = vec![0; 4096];
        // As much of a partition table as makes a disk of it.
        bytes[510] = 0x55;
        bytes[511] = 0xaa;
        std::fs::write(directory.path().join("disk.img"), bytes).unwrap();
        Self { driver, client, instances: tunnels, service, directory }
    }

    /// With instances of those names, which run.
    pub(super) async fn with(names: &[&str]) -> Self {
        let mut fixture = Self::new().await;
        for name in names {
            fixture.launch(fixture.wish(name)).await.unwrap();
        }
        fixture
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The address of a file beside the instances.
    pub(super) fn address(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(super) fn wish(&self, name: &str) -> LaunchRequest {
        LaunchRequest {
            instance_name: name.to_owned(),
            image: self.address("disk.img"),
            ..Default::default()
        }
    }

    pub(super) async fn launch(&mut self, wish: LaunchRequest) -> Result<Vec<LaunchReply>, Status> {
        all(self.client.launch(request(wish))).await
    }

    /// All instances with their states, as `list` tells them.
    pub(super) async fn states(&mut self) -> Vec<String> {
        let reply = all(self.client.list(request(rpc::ListRequest::default()))).await.unwrap();
        let Some(ListContents::InstanceList(list)) = reply.into_iter().next().unwrap().list_contents else {
            panic!("no list of instances");
        };
        let state =
            |one: rpc::ListVmInstance| format!("{} {:?}", one.name, one.instance_status.unwrap().status());
        list.instances.into_iter().map(state).collect()
    }

    /// Waits until nothing is left of any instance.
    pub(super) async fn until_nothing_is_left(&mut self) {
        let started = Instant::now();
        loop {
            let states = self.states().await;
            let entries = std::fs::read_dir(self.path("instances")).unwrap().count();
            if states.is_empty() && entries == 1 && self.driver.machines().is_empty() {
                return;
            }
            assert!(
                started.elapsed() < DEADLINE,
                "{states:?}, {entries} entries, {:?}",
                self.driver.machines()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// All replies of a call, or its status.
pub(super) async fn all<T>(
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
) -> Result<Vec<T>, Status> {
    let mut stream = call.await?.into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.message().await? {
        replies.push(reply);
    }
    Ok(replies)
}

pub(super) fn named(names: &[&str]) -> Option<InstanceNames> {
    Some(InstanceNames { instance_name: names.iter().map(ToString::to_string).collect() })
}

pub(super) fn pairs(names: &[&str]) -> Vec<InstanceSnapshotPair> {
    let pair = |name: &&str| InstanceSnapshotPair { instance_name: (*name).to_owned(), snapshot_name: None };
    names.iter().map(pair).collect()
}
