//! Commands in a guest, over SSH.

use std::time::Duration;

use ssh::{HostKey, KeyPair, Session};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Host;

/// Generous: guests are emulated, and the machine that runs the tests may be busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);

impl Host {
    /// What a command of the guest's user `ubuntu` writes, and its exit code.
    pub(super) async fn finished(&self, name: &str, command: &str) -> (u32, String) {
        let instance = self.service().daemon.data.join("instances").join(name);
        let read =
            |file: &str| std::fs::read_to_string(instance.join(file)).expect("a file of the instance's");
        let record: serde_json::Value = serde_json::from_str(&read("instance.json")).expect("a record");
        let host: HostKey =
            record["host_key"].as_str().and_then(|key| key.parse().ok()).expect("the host's key");
        let key = KeyPair::from_openssh(&read("client_key")).expect("the key");
        let port: u16 = read("machine/port").trim().parse().expect("a port");
        let run = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
            let session = Session::open(stream, &host, "ubuntu", &key).await.expect("a session");
            session.run(command, 64 * 1024).await.expect("an end")
        };
        let finished = timeout(DEADLINE, run).await.expect("the guest answers");
        let written = [finished.stdout, finished.stderr].concat();
        let code = finished.code.unwrap_or_else(|| panic!("no exit code of {command:?}"));
        (code, String::from_utf8_lossy(&written).trim().to_owned())
    }

    /// What a command that succeeds writes.
    pub(super) async fn run(&self, name: &str, command: &str) -> String {
        let (code, written) = self.finished(name, command).await;
        assert_eq!(code, 0, "{command}: {written}");
        written
    }

    pub(super) async fn boot_id(&self, name: &str) -> String {
        self.run(name, "cat /proc/sys/kernel/random/boot_id").await
    }
}
