//! An address that is taken, and by whom.

use std::net::TcpListener;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use transport::testkit::certificates::{TestIdentity, TestServer, provider};
use transport::testkit::run;
use transport::testkit::rustls::ServerConfig;
use transport::{ListenError, Transport};
use transport_tcp::TcpTransport;

use crate::support::{has_ipv6, listen, localhost, port_of, tcp};

#[test]
fn a_daemon_that_answers_is_named() {
    run(async {
        let server = TestServer::generate();
        let mut daemon = TcpTransport::default().listen(&localhost(0), server.tls()).await.unwrap();
        let at = daemon.endpoints()[0].clone();
        let serve = async { daemon.accept().await.unwrap().handshake().await };
        let (listened, asked) = tokio::join!(listen(&at), serve);
        match listened {
            Err(error @ ListenError::InUseByDaemon(_)) => {
                let said = error.to_string();
                assert!(said.contains(&format!("a multipass daemon already listens on {at}")), "{said}");
                assert!(said.contains("--address"), "{said}");
            }
            other => panic!("{other:?}"),
        }
        assert!(asked.is_err(), "who only asks completes no handshake");
    });
}

#[test]
fn another_service_is_not_taken_for_a_daemon() {
    run(async {
        let another = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp("127.0.0.1", another.local_addr().unwrap().port());
        another.set_nonblocking(true).unwrap();
        let another = tokio::net::TcpListener::from_std(another).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(TestIdentity::client().resolver());
        let serve = async {
            let (stream, _) = another.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config)).accept(stream).await
        };
        let (listened, _) = tokio::join!(listen(&at), serve);
        match listened {
            Err(error @ ListenError::InUse(_)) => {
                assert!(error.to_string().contains(&format!("{at} is in use by another program")), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

/// It is connected to by the system, and never accepts.
#[test]
fn a_service_that_says_nothing_is_not_waited_for() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp("127.0.0.1", silent.local_addr().unwrap().port());
        let listened = listen(&at).await;
        assert!(matches!(&listened, Err(ListenError::InUse(taken)) if *taken == at), "{listened:?}");
    });
}

/// A port that a program holds without listening on it.
#[test]
fn a_port_on_which_nobody_answers_may_be_taken() {
    run(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let at = tcp("127.0.0.1", socket.local_addr().unwrap().as_socket().unwrap().port());
        let listened = listen(&at).await;
        assert!(matches!(&listened, Err(ListenError::InUse(taken)) if *taken == at), "{listened:?}");
    });
}

/// Half of `localhost` would leave clients to whoever holds the other half.
#[test]
fn localhost_is_taken_whole_or_not_at_all() {
    if !has_ipv6("localhost_is_taken_whole_or_not_at_all") {
        return;
    }
    run(async {
        for held in ["::1", "127.0.0.1"] {
            let (held, free) = if held == "::1" { (held, "127.0.0.1") } else { (held, "::1") };
            let holder = TcpListener::bind((held, 0)).unwrap();
            let port = holder.local_addr().unwrap().port();
            let listened = listen(&localhost(port)).await;
            assert!(
                matches!(&listened, Err(ListenError::InUse(taken)) if *taken == tcp(held, port)),
                "{listened:?}"
            );
            let free = listen(&tcp(free, port)).await.expect("nothing is left behind");
            assert_eq!(port_of(&free.endpoints()[0]), port);
        }
    });
}
