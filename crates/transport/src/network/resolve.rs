//! From a host's name to its addresses, in bounded time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::HostPort;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How long a name may take to be looked up: as long as one question to one name server (resolv.conf(5)).
const LIMIT: Duration = Duration::from_secs(5);

/// Look-ups at the same time. One that nobody waits for any more still counts: it cannot be ended.
static LOOK_UPS: Semaphore = Semaphore::const_new(4);

/// The addresses of a host, at least one.
///
/// `localhost` is both loopback addresses and no question of name servers (RFC 6761, 6.3).
pub async fn resolve(at: &HostPort) -> io::Result<Vec<SocketAddr>> {
    let port = at.port;
    if let Ok(address) = at.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if at.host.strip_suffix('.').unwrap_or(&at.host).eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let host = at.host.clone();
    look_up(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
}

/// Runs a look-up, which blocks, in a thread of its own. A runtime that ends waits for its own blocking
/// threads, and name servers that do not answer would hold up a program that has long given up.
async fn look_up(
    ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let answered = async {
        let permit = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            let _permit = permit;
            // Nobody may be waiting any more.
            let _ = answer.send(ask());
        })?;
        answered.await.map_err(io::Error::other)?
    };
    let found = timeout(LIMIT, answered).await.map_err(|_| {
        let limit = LIMIT.as_secs();
        io::Error::new(io::ErrorKind::TimedOut, format!("no name server answered within {limit} seconds"))
    })??;
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        // Some resolvers name an address once for each kind of socket.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crate::testkit::run;

    use super::*;

    async fn resolved(host: &str) -> Vec<SocketAddr> {
        resolve(&HostPort::new(host, 50051)).await.unwrap_or_else(|error| panic!("{host}: {error}"))
    }

    #[test]
    fn hosts_are_resolved() {
        run(async {
            let (v4, v6): (SocketAddr, SocketAddr) =
                ("127.0.0.1:50051".parse().unwrap(), "[::1]:50051".parse().unwrap());
            for (host, expected) in [
                ("localhost", vec![v4, v6]),
                ("LocalHost.", vec![v4, v6]),
                ("127.0.0.1", vec![v4]),
                ("::1", vec![v6]),
                ("0.0.0.0", vec!["0.0.0.0:50051".parse().unwrap()]),
                // Written as inet_aton(3) reads it: the system's resolver knows.
                ("127.1", vec![v4]),
            ] {
                assert_eq!(resolved(host).await, expected, "{host}");
            }
        });
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        // Names in `.invalid` never exist (RFC 6761, 6.4).
        run(async { assert!(resolve(&HostPort::new("host.invalid", 1)).await.is_err()) });
    }

    #[test]
    fn an_address_named_twice_is_one_and_none_is_an_error() {
        run(async {
            let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
            assert_eq!(look_up(move || Ok(vec![address, address])).await.unwrap(), [address]);
            let none = look_up(|| Ok(vec![])).await.unwrap_err();
            assert_eq!(none.kind(), io::ErrorKind::NotFound);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn name_servers_that_do_not_answer_are_given_up() {
        let (end, never) = mpsc::channel::<()>();
        let error = look_up(move || {
            let _ = never.recv();
            Ok(vec![])
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("within 5 seconds"), "{error}");
        drop(end);
    }
}
