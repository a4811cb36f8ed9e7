//! Why a client does not get through, told apart.

use std::io::ErrorKind;

use tokio::time::Instant;
use transport::testkit::certificates::TestServer;
use transport::testkit::run;
use transport::{ConnectError, Endpoint, HandshakeError, Transport};
use transport_quic::QuicTransport;

use crate::support::{Service, listen, quic};

async fn dial(at: &Endpoint) -> ConnectError {
    let dialled = QuicTransport::default().dial(at, TestServer::generate().client(None)).await;
    dialled.err().expect("nobody serves there")
}

/// The system tells it, so that nobody has to wait.
#[test]
fn where_nothing_listens_is_known_at_once() {
    run(async {
        let service = Service::start().await;
        let at = service.at.clone();
        service.listener.close(Instant::now()).await;
        let start = std::time::Instant::now();
        match dial(&at).await {
            ConnectError::NotListening { endpoint, source } => {
                assert_eq!((endpoint, source.kind()), (at, ErrorKind::ConnectionRefused));
            }
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    });
}

/// The service may listen on one of a name's addresses alone.
#[test]
fn an_address_that_refuses_is_passed_over() {
    run(async {
        let server = TestServer::generate();
        for (host, passes_over) in [("127.0.0.1", None), ("::1", Some("127.0.0.1"))] {
            let Ok(mut listener) = listen(&quic(host, 0), &server).await else {
                return transport::testkit::skip("an_address_that_refuses_is_passed_over: needs IPv6");
            };
            let Endpoint::Quic(bound) = listener.endpoints()[0].clone() else { panic!("not QUIC") };
            if let Some(other) = passes_over {
                let refusing = dial(&quic(other, bound.port)).await;
                assert!(matches!(refusing, ConnectError::NotListening { .. }), "{refusing:?}");
            }
            let transport = QuicTransport::default();
            let at = quic("localhost", bound.port);
            let serve = async { listener.accept().await.unwrap().handshake().await };
            let (client, served) = tokio::join!(transport.dial(&at, server.client(None)), serve);
            assert!(client.is_ok() && served.is_ok(), "{host}: {:?}", client.err());
        }
    });
}

#[test]
fn a_host_that_nobody_knows_is_an_error() {
    run(async {
        let error = dial(&quic("host.invalid", 1)).await;
        assert!(matches!(error, ConnectError::HostUnknown { .. }), "{error:?}");
    });
}

#[test]
fn a_port_that_is_none_is_an_error() {
    run(async {
        let error = dial(&quic("127.0.0.1", 0)).await;
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    });
}

#[test]
fn a_service_that_sends_clients_away_is_no_missing_one() {
    run(async {
        let mut service = Service::start().await;
        let at = service.at.clone();
        let tls = service.server.client(None);
        let refuse = async { service.accept().await.refuse() };
        let transport = QuicTransport::default();
        let (dialled, ()) = tokio::join!(transport.dial(&at, tls), refuse);
        match dialled.err() {
            Some(ConnectError::Unreachable { endpoint, source }) => {
                assert_eq!(endpoint, at);
                assert!(source.to_string().contains("takes no new connections at the moment"), "{source}");
            }
            other => panic!("{other:?}"),
        }
    });
}

/// What speaks another protocol in QUIC, or ours in another version of it, is told from the first moment.
#[test]
fn another_protocol_is_refused() {
    run(async {
        let mut service = Service::start().await;
        for alpn in [vec![b"h3".to_vec()], vec![b"h2".to_vec()], vec![]] {
            let mut config =
                service.server.client_config(None, &[&transport::testkit::rustls::version::TLS13]);
            config.alpn_protocols = alpn.clone();
            let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
            let client = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
            let config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
            let at = crate::support::address(&service.at);
            let connecting = client.connect_with(config, at, transport::tls::SERVER_NAME).unwrap();
            let serve = async { service.listener.accept().await.unwrap().handshake().await.map(drop) };
            let (dialled, served) = tokio::join!(connecting, serve);
            assert!(dialled.is_err(), "{alpn:?}");
            assert!(matches!(served, Err(HandshakeError::Tls(_))), "{alpn:?}: {served:?}");
        }
    });
}

#[test]
fn other_kinds_of_address_are_not_served() {
    run(async {
        for at in ["unix:/run/socket", "localhost:50051"] {
            let at: Endpoint = at.parse().unwrap();
            assert!(matches!(dial(&at).await, ConnectError::Unsupported(other) if other == at));
            let listened = listen(&at, &TestServer::generate()).await;
            assert!(matches!(listened, Err(transport::ListenError::Unsupported(other)) if other == at));
        }
    });
}
