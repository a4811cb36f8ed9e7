//! Commands in a guest, over SSH.

use std::time::Duration;

use ssh::{HostKey, KeyPair, Session, SessionError};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Host;

/// Generous: guests are emulated, and the machine that runs the tests may be busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);

impl Host {
    /// What a command of the guest's user `ubuntu` writes, and its exit code.
    pub(super) async fn finished(&self, name: &str, command: &str) -> (u32, String) {
        let (host, key) = self.keys(name);
        let run = async {
            let session = self.session(name, &host, &key).await.expect("a session");
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

    /// Opens a session with the guest, which has to prove itself by the key `host`.
    pub(super) async fn session(
        &self,
        name: &str,
        host: &HostKey,
        key: &KeyPair,
    ) -> Result<Session, SessionError> {
        let stream = TcpStream::connect(("127.0.0.1", self.ssh_port(name))).await.expect("a connection");
        timeout(DEADLINE, Session::open(stream, host, "ubuntu", key)).await.expect("the guest answers")
    }

    /// The guest's own key, and the one that opens it.
    pub(super) fn keys(&self, name: &str) -> (HostKey, KeyPair) {
        let record: serde_json::Value =
            serde_json::from_str(&self.read(name, "instance.json")).expect("a record");
        let host = record["host_key"].as_str().and_then(|key| key.parse().ok()).expect("the host's key");
        (host, KeyPair::from_openssh(&self.read(name, "client_key")).expect("the key"))
    }

    /// Where the host reaches the guest.
    pub(super) fn ssh_port(&self, name: &str) -> u16 {
        self.read(name, "machine/port").trim().parse().expect("a port")
    }

    fn read(&self, name: &str, file: &str) -> String {
        let instance = self.service().daemon.data.join("instances").join(name);
        std::fs::read_to_string(instance.join(file)).expect("a file of the instance's")
    }
}
