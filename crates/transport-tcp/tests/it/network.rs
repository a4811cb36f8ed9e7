//! Machines that differ from this one: each test has a network of its own.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use transport::testkit::certificates::TestServer;
use transport::testkit::{run, skip};
use transport::{ConnectError, ListenError, Transport};
use transport_tcp::TcpTransport;

use crate::support::{listen, localhost, tcp};

/// Runs `test` in a thread whose network is new and set up by `commands`, or says that it cannot.
fn in_a_network(name: &str, commands: &str, test: impl Future<Output = ()> + Send + 'static) {
    if !Uid::effective().is_root() {
        return skip(&format!("{name}: needs root"));
    }
    let script = format!("{commands} && ip link set lo up");
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network of its own");
        let set_up = Command::new("sh").args(["-ec", &script]).status().expect("sh should run");
        assert!(set_up.success(), "{script}: {set_up}");
        run(test);
    });
    thread.join().unwrap();
}

#[test]
fn without_ipv6_localhost_is_ipv4_alone() {
    let commands = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
    in_a_network("without_ipv6_localhost_is_ipv4_alone", commands, async {
        let server = TestServer::generate();
        let transport = TcpTransport::default();
        let at = localhost(50051);
        let mut listener = transport.listen(&at, server.tls()).await.unwrap();
        assert_eq!(listener.endpoints(), [tcp("127.0.0.1", 50051)]);
        let serve = async { listener.accept().await.unwrap().handshake().await };
        let (client, served) = tokio::join!(transport.dial(&at, server.client(None)), serve);
        assert!(client.is_ok() && served.is_ok());
        drop(listener);

        // Asked for by itself it is an error, and that IPv6 is missing does not hide that nothing listens.
        let listened = listen(&tcp("::1", 50051)).await;
        assert!(matches!(listened, Err(ListenError::Network { .. })), "{listened:?}");
        let dialled = transport.dial(&localhost(50052), server.client(None)).await;
        assert!(matches!(dialled, Err(ConnectError::NotListening { .. })), "{:?}", dialled.err());
    });
}

/// Where the system chooses the very port that is dialled, a client would be connected to itself.
#[test]
fn a_client_does_not_meet_itself() {
    let commands = "echo 50051 50051 > /proc/sys/net/ipv4/ip_local_port_range";
    in_a_network("a_client_does_not_meet_itself", commands, async {
        let met = tokio::net::TcpStream::connect("127.0.0.1:50051").await.unwrap();
        assert_eq!(met.local_addr().unwrap(), met.peer_addr().unwrap(), "otherwise this tests nothing");
        met.set_zero_linger().unwrap();
        drop(met);
        let client = TestServer::generate().client(None);
        let dialled = TcpTransport::default().dial(&tcp("127.0.0.1", 50051), client).await;
        assert!(matches!(dialled, Err(ConnectError::NotListening { .. })), "{:?}", dialled.err());
        listen(&tcp("127.0.0.1", 50051)).await.expect("the port is free afterwards");
    });
}

/// The system chooses a port by one address. It may be taken on the other.
#[test]
fn a_port_is_looked_for_that_is_free_on_both_addresses() {
    let commands = "echo 50051 50058 > /proc/sys/net/ipv4/ip_local_port_range";
    in_a_network("a_port_is_looked_for_that_is_free_on_both_addresses", commands, async {
        let hold = |port| std::net::TcpListener::bind(("::1", port)).unwrap();
        let mut held: Vec<_> = (50051..=50058).map(hold).collect();
        let listened = listen(&localhost(0)).await;
        assert!(matches!(listened, Err(ListenError::InUse(_) | ListenError::Network { .. })), "{listened:?}");

        let free = held.remove(4);
        let port = free.local_addr().unwrap().port();
        drop(free);
        let listener = listen(&localhost(0)).await.unwrap();
        assert_eq!(listener.endpoints(), [tcp("127.0.0.1", port), tcp("::1", port)]);
    });
}
