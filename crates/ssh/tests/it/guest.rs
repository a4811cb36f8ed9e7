//! A guest: an SSH server with a few commands, on a stream in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Handle, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, Pty, Sig};
use ssh::{HostKey, Input, KeyPair, Output, Session, SessionError, Terminal};
use tokio::io::DuplexStream;
use tokio::time::timeout;

/// For what is to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// For what is to stand still.
pub(crate) const STILL: Duration = Duration::from_millis(500);

/// A guest, and what opens it.
pub(crate) struct Guest {
    host: KeyPair,
    pub(crate) client: KeyPair,
    /// What the guest has been told, and has done.
    pub(crate) facts: Facts,
}

/// A list that grows.
#[derive(Clone, Default)]
pub(crate) struct Facts(Arc<Mutex<Vec<String>>>);

impl Facts {
    pub(crate) fn add(&self, fact: impl Into<String>) {
        self.0.lock().unwrap().push(fact.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, fact: &str) {
        let told = async {
            while !self.all().iter().any(|one| one == fact) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, told).await.unwrap_or_else(|_| panic!("no {fact:?} in {:?}", self.all()));
    }
}

impl Guest {
    pub(crate) fn new() -> Self {
        let key = || KeyPair::generate().unwrap();
        Self { host: key(), client: key(), facts: Facts::default() }
    }

    pub(crate) fn host_key(&self) -> HostKey {
        self.host.public()
    }

    /// A stream that leads to the guest.
    pub(crate) fn stream(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let host = PrivateKey::from_openssh(self.host.to_openssh().unwrap().as_bytes()).unwrap();
        let config = server::Config {
            keys: vec![host],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..server::Config::default()
        };
        let handler =
            Handler { lets_in: self.client.public(), facts: self.facts.clone(), channels: HashMap::new() };
        tokio::spawn(async move {
            let facts = handler.facts.clone();
            if let Ok(session) = server::run_stream(Arc::new(config), far, handler).await {
                let _ = session.await;
            }
            facts.add("the connection has ended");
        });
        near
    }

    pub(crate) async fn session(&self) -> Session {
        Session::open(self.stream(), &self.host_key(), "ubuntu", &self.client).await.unwrap()
    }

    /// Starts a command in a session of its own.
    pub(crate) async fn start(&self, command: &str, terminal: Option<&Terminal>) -> (Session, Input, Output) {
        let session = self.session().await;
        let (input, output) = session.start(Some(command.as_bytes()), terminal).await.unwrap();
        (session, input, output)
    }
}

/// The next piece, or the end, which is to come soon.
pub(crate) async fn next(output: &mut Output) -> Result<Option<ssh::OutputChunk>, SessionError> {
    timeout(SOON, output.next()).await.expect("a piece, or the end")
}

struct Handler {
    lets_in: HostKey,
    facts: Facts,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler {
    fn begin(&mut self, id: ChannelId, command: String, session: &mut server::Session) {
        let Some(channel) = self.channels.remove(&id) else { return };
        let _ = match command.as_str() {
            "refused" => session.channel_failure(id),
            _ => session.channel_success(id),
        };
        tokio::spawn(run(command, channel, session.handle(), self.facts.clone()));
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let is_known = key.public_key.to_openssh().unwrap() == self.lets_in.to_string();
        Ok(if user == "ubuntu" && is_known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        kind: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.facts.add(format!("terminal {kind} {columns}x{rows}"));
        if kind == "none" { session.channel_failure(channel) } else { session.channel_success(channel) }
    }

    async fn env_request(
        &mut self,
        _: ChannelId,
        name: &str,
        value: &str,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.facts.add(format!("environment {name}={value}"));
        Ok(())
    }

    async fn window_change_request(
        &mut self,
        _: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.facts.add(format!("size {columns}x{rows}"));
        Ok(())
    }

    async fn signal(
        &mut self,
        _: ChannelId,
        signal: Sig,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.facts.add(format!("signal {signal:?}"));
        Ok(())
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.begin(id, "shell".to_owned(), session);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.begin(id, String::from_utf8_lossy(command).into_owned(), session);
        Ok(())
    }
}

/// The commands of this guest.
async fn run(command: String, mut channel: Channel<Msg>, handle: Handle, facts: Facts) {
    let id = channel.id();
    match command.as_str() {
        // Sends back what it is sent, once that has ended: this server does not read while it writes, and nor
        // does the client, of whom in life only one is of russh.
        "cat" => {
            let mut all = Vec::new();
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } => all.extend_from_slice(&data),
                    ChannelMsg::Eof => break,
                    _ => {}
                }
            }
            let (mut reading, writing) = channel.split();
            tokio::spawn(async move { while reading.wait().await.is_some() {} });
            let _ = writing.data_bytes(Bytes::from(all)).await;
            let _ = writing.exit_status(0).await;
            let _ = writing.close().await;
            return;
        }
        "both" => {
            let _ = channel.data_bytes(Bytes::from_static(b"out\0\xff")).await;
            let _ = channel.extended_data_bytes(1, Bytes::from_static(b"err\0\xff")).await;
            // Of a kind that nobody has named.
            let _ = channel.extended_data_bytes(7, Bytes::from_static(b"what")).await;
            let _ = channel.exit_status(3).await;
        }
        "killed" => {
            let _ = handle.exit_signal_request(id, Sig::TERM, false, String::new(), String::new()).await;
        }
        // Writes for as long as it is let.
        "yes" => {
            let chunk = Bytes::from(vec![b'y'; 32 * 1024]);
            let mut written = 0;
            while written < 64 << 20 && channel.data_bytes(chunk.clone()).await.is_ok() {
                written += chunk.len();
                facts.add("wrote");
            }
            facts.add("wrote all");
        }
        // Reads nothing.
        "deaf" => {
            facts.until("enough").await;
            let _ = channel.exit_status(0).await;
        }
        "vanish" => {
            let _ = channel.data_bytes(Bytes::from_static(b"last words")).await;
            let _ = handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new()).await;
            return;
        }
        // Ends without having told how.
        "silent" => {}
        // Tries all that a server can ask of a client.
        "nosy" => {
            let opened = [
                ("session", handle.channel_open_session().await.is_ok()),
                ("agent", handle.channel_open_agent().await.is_ok()),
                ("x11", handle.channel_open_x11("localhost", 6000).await.is_ok()),
                ("tcp", handle.channel_open_forwarded_tcpip("localhost", 22, "localhost", 1).await.is_ok()),
                ("socket", handle.channel_open_forwarded_streamlocal("/run/socket").await.is_ok()),
                ("direct", handle.channel_open_direct_tcpip("localhost", 22, "localhost", 1).await.is_ok()),
                ("path", handle.channel_open_direct_streamlocal("/run/socket").await.is_ok()),
            ];
            for (what, is_open) in opened {
                facts.add(format!("{what} {is_open}"));
            }
            let _ = channel.exit_status(0).await;
        }
        "refused" => return,
        // Until it is told to end.
        _ => {
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } => facts.add(format!("typed {data:?}")),
                    ChannelMsg::Eof => break,
                    _ => {}
                }
            }
            let _ = channel.exit_status(0).await;
        }
    }
    let _ = channel.eof().await;
    let _ = channel.close().await;
}
