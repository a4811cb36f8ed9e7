//! Guests that are SSH servers in this process: an honest one, and such as mean harm.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use russh::server::{self, Auth, ChannelOpenHandle, Msg};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use zeroize::Zeroizing;

use super::*;

const IN_TIME: Duration = Duration::from_secs(20);

/// An SSH server that answers any command by that text, again and again.
struct Guest {
    says: &'static str,
    times: usize,
    asked: Arc<AtomicBool>,
}

impl server::Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        _: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.asked.store(true, Ordering::SeqCst);
        Ok(if user == "ubuntu" { Auth::Accept } else { Auth::reject() })
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
        channel: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        assert_eq!(command, facts::QUESTION.as_bytes());
        session.channel_success(channel)?;
        for _ in 0..self.times {
            session.data(channel, self.says)?;
        }
        session.exit_status_request(channel, 0)?;
        session.close(channel)
    }
}

/// How a guest is reached, and its host key.
fn access() -> (SshAccess, KeyPair) {
    let (host, client) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let access = SshAccess {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        user: "ubuntu",
        host_key: host.public().to_string(),
        client_key: Zeroizing::new(client.to_openssh().unwrap().as_bytes().to_vec()),
    };
    (access, host)
}

/// A guest with that key, and our end of the connection to it.
fn guest(host: &KeyPair, says: &'static str, times: usize) -> (DuplexStream, Arc<AtomicBool>) {
    let (ours, theirs) = duplex(4096);
    let key = russh::keys::PrivateKey::from_openssh(host.to_openssh().unwrap().as_bytes()).unwrap();
    let config = Arc::new(server::Config { keys: vec![key], ..Default::default() });
    let asked = Arc::new(AtomicBool::new(false));
    let handler = Guest { says, times, asked: Arc::clone(&asked) };
    tokio::spawn(async move { server::run_stream(config, theirs, handler).await?.await });
    (ours, asked)
}

async fn answer(stream: DuplexStream, access: &SshAccess) -> Result<Facts, NoAnswer> {
    timeout(IN_TIME, converse(stream, access)).await.expect("an end")
}

#[tokio::test]
async fn a_guest_is_asked_as_its_user_and_understood() {
    let (access, host) = access();
    let (stream, _) = guest(&host, "[load]\n0.1 0.2 0.3 1/2 3\n", 1);
    assert_eq!(answer(stream, &access).await.unwrap().load, "0.10 0.20 0.30");
}

#[tokio::test]
async fn another_host_is_not_asked() {
    let (access, _) = access();
    let (stream, asked) = guest(&KeyPair::generate().unwrap(), "", 1);
    let error = answer(stream, &access).await.unwrap_err();
    assert!(matches!(error, NoAnswer::Session(SessionError::WrongHost)), "{error}");
    assert!(!asked.load(Ordering::SeqCst), "it was shown our key");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (access, host) = access();
    let (stream, _) = guest(&host, "0123456789abcdef0123456789abcdef", facts::LONGEST);
    let error = answer(stream, &access).await.unwrap_err();
    assert!(matches!(error, NoAnswer::Session(SessionError::TooMuch { .. })), "{error}");
}

/// Who falls silent, before or while keys are exchanged, keeps no connection once nobody waits any more.
#[tokio::test]
async fn a_silent_guest_is_left() {
    for says in [&b""[..], b"SSH-2.0-guest\r\n"] {
        let (ours, mut theirs) = duplex(4096);
        let asking = tokio::spawn(async move { converse(ours, &access().0).await });
        theirs.write_all(says).await.unwrap();
        let mut heard = Vec::new();
        let heard_all = |heard: &[u8]| match heard.windows(2).position(|end| end == b"\r\n") {
            // After the greeting come the keys, if it is answered.
            Some(greeting) => says.is_empty() || heard.len() > greeting + 2,
            None => false,
        };
        while !heard_all(&heard) {
            assert!(theirs.read_buf(&mut heard).await.unwrap() > 0);
        }
        asking.abort();
        let left = async { while !matches!(theirs.read_buf(&mut heard).await, Ok(0) | Err(_)) {} };
        timeout(IN_TIME, left).await.expect("the connection should end");
    }
}
