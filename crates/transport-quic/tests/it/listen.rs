//! What is listened on, and what is refused.

use std::process::Command;

use transport::network::ListenScope;
use transport::testkit::certificates::TestServer;
use transport::testkit::{run, skip};
use transport::{Endpoint, ListenError, Origin, Transport};
use transport_quic::QuicTransport;

use crate::support::{address, listen, quic};

fn port_of(endpoint: &Endpoint) -> u16 {
    address(endpoint).port()
}

#[test]
fn localhost_is_both_loopback_addresses_on_one_port() {
    run(async {
        let server = TestServer::generate();
        if listen(&quic("::1", 0), &server).await.is_err() {
            return skip("localhost_is_both_loopback_addresses_on_one_port: needs IPv6");
        }
        let transport = QuicTransport::default();
        let mut listener = listen(&quic("localhost", 0), &server).await.unwrap();
        let port = port_of(&listener.endpoints()[0]);
        assert_ne!(port, 0);
        assert_eq!(listener.endpoints(), [quic("127.0.0.1", port), quic("::1", port)]);
        // Each twice: it is served again after the other.
        for at in [listener.endpoints().to_vec(), listener.endpoints().to_vec()].concat() {
            let serve = async { listener.accept().await.unwrap().handshake().await };
            let (client, served) = tokio::join!(transport.dial(&at, server.client(None)), serve);
            let (client, served) = (client.unwrap(), served.unwrap());
            assert_eq!(client.peer().origin, Origin::Remote(address(&at)));
            let Origin::Remote(from) = served.peer().origin else { panic!("no address") };
            assert_eq!(from.ip(), address(&at).ip());
        }
    });
}

#[test]
fn other_machines_are_let_in_only_where_that_was_said() {
    run(async {
        let server = TestServer::generate();
        for host in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0"] {
            let at = quic(host, 0);
            let error = listen(&at, &server).await.expect_err(host);
            assert!(
                matches!(&error, ListenError::NotLoopback { endpoint, .. } if *endpoint == at),
                "{error:?}"
            );
            assert!(error.to_string().contains("`allow_remote = true`"), "{error}");
        }
        for host in ["127.0.0.1", "127.0.0.2", "localhost"] {
            listen(&quic(host, 0), &server).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        }
        let anywhere = QuicTransport::new(ListenScope::AnyAddress);
        let listener = anywhere.listen(&quic("0.0.0.0", 0), server.tls()).await.unwrap();
        assert_eq!(listener.endpoints(), [quic("0.0.0.0", port_of(&listener.endpoints()[0]))]);
    });
}

/// As the system shows it: `ss` knows of no other socket of ours.
#[test]
fn the_system_shows_a_loopback_port() {
    run(async {
        let listener = listen(&quic("localhost", 0), &TestServer::generate()).await.unwrap();
        let port = port_of(&listener.endpoints()[0]);
        let Ok(shown) = Command::new("ss").args(["-Hlnu", &format!("sport = :{port}")]).output() else {
            return skip("the_system_shows_a_loopback_port: needs ss (iproute2)");
        };
        let shown = String::from_utf8(shown.stdout).unwrap();
        let mut addresses: Vec<_> =
            shown.lines().map(|line| line.split_whitespace().nth(3).unwrap().to_owned()).collect();
        addresses.sort();
        let mut expected: Vec<_> =
            listener.endpoints().iter().map(|endpoint| address(endpoint).to_string()).collect();
        expected.sort();
        assert_eq!(addresses, expected, "{shown}");
    });
}

#[test]
fn a_port_in_use_is_said_to_be() {
    run(async {
        let server = TestServer::generate();
        let first = listen(&quic("127.0.0.1", 0), &server).await.unwrap();
        let at = first.endpoints()[0].clone();
        for at in [at.clone(), quic("localhost", port_of(&at))] {
            let listened = listen(&at, &server).await;
            let Err(ListenError::InUse(endpoint)) = listened else { panic!("{listened:?}") };
            assert_eq!(endpoint, first.endpoints()[0]);
        }
    });
}

/// An address of documentation's (RFC 5737), which no machine has.
#[test]
fn an_address_of_another_machine_is_an_error() {
    run(async {
        let at = quic("192.0.2.1", 1);
        let anywhere = QuicTransport::new(ListenScope::AnyAddress);
        match anywhere.listen(&at, TestServer::generate().tls()).await {
            Err(ListenError::Network { endpoint, .. }) => assert_eq!(endpoint, at),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_host_that_nobody_knows_is_an_error() {
    run(async {
        let listened = listen(&quic("host.invalid", 1), &TestServer::generate()).await;
        assert!(matches!(listened, Err(ListenError::HostUnknown { .. })), "{listened:?}");
    });
}
