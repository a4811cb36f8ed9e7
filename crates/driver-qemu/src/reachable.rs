//! Whether a guest's SSH server answers.
//!
//! QEMU accepts connections for its guest at once, whether or not anybody is there. So a guest answers when it
//! has sent the first line of SSH. Who it is, is for those to verify who then speak SSH.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// While the guest's network is not up, an attempt hangs: QEMU has lost it. So most are short, for the next one
/// to find a guest that has just come up.
const SHORT: Duration = Duration::from_millis(300);
/// A guest with much to do takes longer to answer, and has more to do with each attempt. So one at a time is
/// patient.
const PATIENT: Duration = Duration::from_secs(4);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(75);

const BANNER: &[u8; 4] = b"SSH-";

/// Waits until an SSH server answers, however long that takes. Cancel-safe.
pub(crate) async fn wait(address: SocketAddr) {
    tokio::select! {
        () = attempts(address, SHORT) => {}
        () = attempts(address, PATIENT) => {}
    }
}

/// Attempts one after the other, until one is answered.
async fn attempts(address: SocketAddr, within: Duration) {
    while !timeout(within, answers(address)).await.unwrap_or(false) {
        sleep(PAUSE).await;
    }
}

/// Whether the first line is SSH's. Servers may say something else before it (RFC 4253, 4.2); guests' do not.
async fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let mut banner = [0; BANNER.len()];
    stream.read_exact(&mut banner).await.is_ok() && banner == *BANNER
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn silence_and_strangers_are_not_taken_for_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wait = tokio::spawn(wait(address));
        // As QEMU does for its guest: held open without a word, closed, and what the guest says.
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(listener.accept().await.unwrap());
        }
        drop(listener.accept().await.unwrap());
        listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 400\r\n").await.unwrap();
        let (mut next, _) = listener.accept().await.unwrap();
        assert!(!wait.is_finished());
        next.write_all(b"SSH-2.0-dropbear\r\n").await.unwrap();
        wait.await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_answer_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wait = tokio::spawn(wait(listener.local_addr().unwrap()));
        let mut connections = tokio::task::JoinSet::new();
        let guest = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    sleep(4 * SHORT).await;
                    // Most have given up by then.
                    let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
                });
            }
        };
        tokio::select! {
            waited = wait => waited.unwrap(),
            () = guest => {}
        }
    }
}
