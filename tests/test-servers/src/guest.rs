//! A guest's SSH server, which lets everybody in and answers any command alike.

use std::sync::{Arc, Mutex};

use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncRead, AsyncWrite};

/// What the server answers a command: a text, so many times, and the code that it ends with.
pub struct Guest {
    /// The text.
    pub says: &'static str,
    /// How often.
    pub times: usize,
    /// The command's exit code.
    pub code: u32,
}

/// What a guest has heard: `login USER KEY` for each who came in, and the commands.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// All of it so far.
    ///
    /// # Panics
    /// The guest has.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("what was heard").clone()
    }

    fn add(&self, heard: String) {
        self.0.lock().expect("what was heard").push(heard);
    }
}

impl Guest {
    /// Serves the connection at the other end of `stream` in a task of its own, as the host that `host_key` makes it: a
    /// private key in OpenSSH's form.
    ///
    /// # Panics
    /// That is no such key.
    pub fn serve(
        self,
        host_key: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Heard {
        let key = PrivateKey::from_openssh(host_key.as_bytes()).expect("a host key");
        let config = Arc::new(server::Config { keys: vec![key], ..server::Config::default() });
        let heard = Heard::default();
        let handler = Handler { guest: self, heard: heard.clone() };
        tokio::spawn(async move { server::run_stream(config, stream, handler).await?.await });
        heard
    }
}

struct Handler {
    guest: Guest,
    heard: Heard,
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let key = key.public_key.to_openssh().expect("a key");
        self.heard.add(format!("login {user} {key}"));
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.heard.add(String::from_utf8_lossy(command).into_owned());
        session.channel_success(id)?;
        for _ in 0..self.guest.times {
            session.data(id, self.guest.says)?;
        }
        session.exit_status_request(id, self.guest.code)?;
        session.close(id)
    }
}
