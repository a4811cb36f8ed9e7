//! What is listened on, and what is refused.

use tokio::net::TcpStream;
use transport::network::ListenScope;
use transport::testkit::certificates::TestServer;
use transport::testkit::run;
use transport::{ListenError, Origin, Transport};
use transport_tcp::TcpTransport;

use crate::support::{address_of, has_ipv6, listen, listen_within, localhost, port_of, tcp};

#[test]
fn localhost_is_both_loopback_addresses_on_one_port() {
    if !has_ipv6("localhost_is_both_loopback_addresses_on_one_port") {
        return;
    }
    run(async {
        let server = TestServer::generate();
        let transport = TcpTransport::default();
        // Often, for a port that is free on one address is sometimes taken on the other.
        for _ in 0..50 {
            let listener = listen(&localhost(0)).await.unwrap();
            let port = port_of(&listener.endpoints()[0]);
            assert_ne!(port, 0);
            assert_eq!(listener.endpoints(), [tcp("127.0.0.1", port), tcp("::1", port)]);
        }
        let mut listener = transport.listen(&localhost(0), server.tls()).await.unwrap();
        for at in listener.endpoints().to_vec() {
            let serve = async { listener.accept().await.unwrap().handshake().await };
            let (client, served) = tokio::join!(transport.dial(&at, server.client(None)), serve);
            let (client, served) = (client.unwrap(), served.unwrap());
            assert_eq!(client.peer().origin, Origin::Remote(address_of(&at)));
            let Origin::Remote(from) = served.peer().origin else { panic!("no address") };
            assert_eq!(from.ip(), address_of(&at).ip());
        }
    });
}

#[test]
fn one_address_is_one_socket() {
    run(async {
        let v4 = listen(&tcp("127.0.0.1", 0)).await.unwrap();
        let [at] = v4.endpoints() else { panic!("{:?}", v4.endpoints()) };
        assert!(TcpStream::connect(address_of(at)).await.is_ok());
        let at_v6 = tcp("::1", port_of(at));
        assert!(TcpStream::connect(address_of(&at_v6)).await.is_err());
    });
}

#[test]
fn other_machines_are_let_in_only_where_that_was_said() {
    run(async {
        for host in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0"] {
            let at = tcp(host, 0);
            let error = listen(&at).await.expect_err(host);
            assert!(
                matches!(&error, ListenError::NotLoopback { endpoint, .. } if *endpoint == at),
                "{error:?}"
            );
            let said = error.to_string();
            assert!(said.contains("`allow_remote = true`") && said.contains("--allow-remote"), "{said}");
        }
        for host in ["127.0.0.1", "127.0.0.2", "localhost", "127.1"] {
            listen(&tcp(host, 0)).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        }

        let listener = listen_within(ListenScope::AnyAddress, &tcp("0.0.0.0", 0)).await.unwrap();
        let [at] = listener.endpoints() else { panic!("{:?}", listener.endpoints()) };
        assert_eq!(*at, tcp("0.0.0.0", port_of(at)));
        assert!(TcpStream::connect(("127.0.0.1", port_of(at))).await.is_ok());
    });
}

/// Each address is what it says: `::` takes no IPv4.
#[test]
fn ipv6_is_ipv6_alone() {
    if !has_ipv6("ipv6_is_ipv6_alone") {
        return;
    }
    run(async {
        let listener = listen_within(ListenScope::AnyAddress, &tcp("::", 0)).await.unwrap();
        let port = port_of(&listener.endpoints()[0]);
        assert!(TcpStream::connect(("::1", port)).await.is_ok());
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
        listen(&tcp("127.0.0.1", port)).await.expect("the port is free in IPv4");
    });
}

/// An address of documentation's (RFC 5737), which no machine has.
#[test]
fn an_address_of_another_machine_is_an_error() {
    run(async {
        let at = tcp("192.0.2.1", 1);
        match listen_within(ListenScope::AnyAddress, &at).await {
            Err(ListenError::Network { endpoint, .. }) => assert_eq!(endpoint, at),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_host_that_nobody_knows_is_an_error() {
    run(async {
        let at = tcp("host.invalid", 1);
        match listen(&at).await {
            Err(error @ ListenError::HostUnknown { .. }) => {
                assert!(error.to_string().contains("host.invalid:1"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn other_kinds_of_address_are_not_served() {
    run(async {
        let at = "unix:/run/socket".parse().unwrap();
        let listened = listen(&at).await;
        assert!(matches!(listened, Err(ListenError::Unsupported(other)) if other == at));
    });
}
