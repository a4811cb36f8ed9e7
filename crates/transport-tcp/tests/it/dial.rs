//! Why a client does not get through, told apart.

use std::io::ErrorKind;
use std::net::TcpListener;

use transport::testkit::certificates::TestServer;
use transport::testkit::run;
use transport::{ConnectError, Connection, Endpoint, Origin, Transport};
use transport_tcp::TcpTransport;

use crate::support::{address_of, has_ipv6, localhost, port_of, tcp};

async fn dial(at: &Endpoint) -> ConnectError {
    let server = TestServer::generate();
    let dialled: Result<Box<dyn Connection>, _> = TcpTransport::default().dial(at, server.client(None)).await;
    dialled.err().expect("nobody serves there")
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn nothing_listens_on_a_free_port() {
    run(async {
        for host in ["127.0.0.1", "localhost"] {
            let at = tcp(host, free_port());
            match dial(&at).await {
                ConnectError::NotListening { endpoint, source } => {
                    assert_eq!((endpoint, source.kind()), (at, ErrorKind::ConnectionRefused));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn localhost_is_tried_on_both_addresses() {
    if !has_ipv6("localhost_is_tried_on_both_addresses") {
        return;
    }
    run(async {
        let server = TestServer::generate();
        let transport = TcpTransport::default();
        for host in ["127.0.0.1", "::1"] {
            let mut listener = transport.listen(&tcp(host, 0), server.tls()).await.unwrap();
            let at = listener.endpoints()[0].clone();
            let serve = async { listener.accept().await.unwrap().handshake().await };
            let to = localhost(port_of(&at));
            let (client, served) = tokio::join!(transport.dial(&to, server.client(None)), serve);
            assert_eq!(client.expect(host).peer().origin, Origin::Remote(address_of(&at)));
            assert!(served.is_ok());
        }
    });
}

#[test]
fn a_host_that_nobody_knows_is_an_error() {
    run(async {
        let at = tcp("host.invalid", 1);
        match dial(&at).await {
            error @ ConnectError::HostUnknown { .. } => {
                assert!(error.to_string().contains("host.invalid:1"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A service that does not speak TLS, and one that has gone away in the middle.
#[test]
fn a_service_that_is_none_is_a_failed_handshake() {
    run(async {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp("127.0.0.1", other.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = other.accept().unwrap();
            stream.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
        });
        let error = dial(&at).await;
        assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
        server.join().unwrap();
    });
}

#[test]
fn other_kinds_of_address_are_not_dialled() {
    run(async {
        let at = "unix:/run/socket".parse().unwrap();
        assert!(matches!(dial(&at).await, ConnectError::Unsupported(other) if other == at));
    });
}
