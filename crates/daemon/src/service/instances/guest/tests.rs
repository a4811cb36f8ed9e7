//! Guests that are SSH servers in this process: an honest one, and such as mean harm.

use std::net::{Ipv4Addr, SocketAddr};

use test_servers::{Guest, Heard};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use zeroize::Zeroizing;

use super::*;

const IN_TIME: Duration = Duration::from_secs(20);

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
fn guest(host: &KeyPair, says: &'static str, times: usize) -> (DuplexStream, Heard) {
    let (ours, theirs) = duplex(4096);
    let heard = Guest { says, times, code: 0 }.serve(&host.to_openssh().unwrap(), theirs);
    (ours, heard)
}

async fn answer(stream: DuplexStream, access: &SshAccess) -> Result<Facts, QueryError> {
    timeout(IN_TIME, query_over(stream, access)).await.expect("an end")
}

#[tokio::test]
async fn a_guest_is_asked_as_its_user_and_understood() {
    let (access, host) = access();
    let (stream, heard) = guest(&host, "[load]\n0.1 0.2 0.3 1/2 3\n", 1);
    assert_eq!(answer(stream, &access).await.unwrap().load, "0.10 0.20 0.30");
    let key = std::str::from_utf8(&access.client_key).unwrap();
    let key = KeyPair::from_openssh(key).unwrap().public();
    assert_eq!(heard.all(), [format!("login ubuntu {key}"), facts::SCRIPT.to_owned()]);
}

#[tokio::test]
async fn another_host_is_not_asked() {
    let (access, _) = access();
    let (stream, heard) = guest(&KeyPair::generate().unwrap(), "", 1);
    let error = answer(stream, &access).await.unwrap_err();
    assert!(matches!(error, QueryError::Session(SessionError::WrongHost)), "{error}");
    assert!(heard.all().is_empty(), "it was shown our key: {:?}", heard.all());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (access, host) = access();
    let (stream, _) = guest(&host, "0123456789abcdef0123456789abcdef", facts::MAX_ANSWER);
    let error = answer(stream, &access).await.unwrap_err();
    assert!(matches!(error, QueryError::Session(SessionError::TooMuch { .. })), "{error}");
}

/// Who falls silent, before or while keys are exchanged, keeps no connection once nobody waits any more.
#[tokio::test]
async fn a_silent_guest_is_left() {
    for says in [&b""[..], b"SSH-2.0-guest\r\n"] {
        let (ours, mut theirs) = duplex(4096);
        let asking = tokio::spawn(async move { query_over(ours, &access().0).await });
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
