//! A client's connection to the first of a host's addresses that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::options;

/// How long an address may keep silent before the next is tried; the last is waited for as long as the caller
/// waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to the first of `addresses` that answers, in their order.
///
/// # Errors
/// That one of them refused, if one did: so the machine is there, and nothing listens. Otherwise what the first
/// of them met.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut fault = None;
    let mut rest = addresses;
    while let [address, others @ ..] = rest {
        rest = others;
        let connecting = connect_to(*address);
        let connected = if others.is_empty() {
            connecting.await
        } else {
            timeout(PATIENCE, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) if fault.is_none() || error.kind() == io::ErrorKind::ConnectionRefused => {
                fault = Some(error);
            }
            Err(_) => {}
        }
    }
    Err(fault.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Where nothing listens, the system may choose the port dialled as the client's own, and the two ends meet
    // (simultaneous open, RFC 9293, 3.5). The service's usual port is within the range that Linux chooses from.
    if stream.local_addr()? == stream.peer_addr()? {
        // Otherwise the port would be taken for a minute (TIME_WAIT), and a daemon could not have it.
        stream.set_zero_linger()?;
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    options::set(&stream)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Refused at once by any system: to broadcast needs a permission, which connections never have.
    const BROADCAST: &str = "255.255.255.255:1";

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn free() -> SocketAddr {
        listening().1
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken() {
        let ((_one, first), (_other, second)) = (listening(), listening());
        for (addresses, expected) in [
            ([first, second], first),
            ([free(), second], second),
            ([BROADCAST.parse().unwrap(), second], second),
        ] {
            let stream = connect(&addresses).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn that_one_refused_says_more_than_what_the_others_met() {
        let broadcast = BROADCAST.parse().unwrap();
        let other = connect(&[broadcast]).await.unwrap_err().kind();
        for (addresses, expected) in [
            (vec![broadcast, free()], io::ErrorKind::ConnectionRefused),
            (vec![free(), broadcast], io::ErrorKind::ConnectionRefused),
            (vec![broadcast, broadcast], other),
            (vec![], io::ErrorKind::AddrNotAvailable),
        ] {
            assert_eq!(connect(&addresses).await.unwrap_err().kind(), expected, "{addresses:?}");
        }
    }

    /// On Linux a listener whose queue is full does not answer.
    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn one_that_keeps_silent_is_given_up() {
        use socket2::{Domain, Socket, Type};
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        silent.listen(0).unwrap();
        let silent_at = silent.local_addr().unwrap().as_socket().unwrap();
        let _queue = std::net::TcpStream::connect(silent_at).unwrap();
        let (_listener, answers) = listening();
        let stream = connect(&[silent_at, answers]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answers);
        let error = connect(&[silent_at, BROADCAST.parse().unwrap()]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
