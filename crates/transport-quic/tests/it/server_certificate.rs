//! Which servers a client trusts over QUIC: those that it trusts over every other transport.

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use transport::testkit::certificates::{ServerKind, TestServer, provider, stolen};
use transport::testkit::run;
use transport::testkit::rustls::server::ResolvesServerCert;
use transport::testkit::rustls::version::TLS13;
use transport::testkit::rustls::{CertificateError, Error, ServerConfig};
use transport::tls::{CertificateDates, ClientTls};
use transport::{ConnectError, Transport};
use transport_quic::QuicTransport;

use crate::support::{ALPN, endpoint};

/// What a client that pins the root of `trusted` says of a server that presents `presents`.
async fn judge(
    trusted: &TestServer,
    dates: CertificateDates,
    presents: Arc<dyn ResolvesServerCert>,
) -> Result<Vec<u8>, ConnectError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(presents);
    config.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let server = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into()).unwrap();
    let client = ClientTls::new(trusted.root(), dates, None).unwrap();
    let (transport, at) = (QuicTransport::default(), endpoint(server.local_addr().unwrap()));
    let serve = async { server.accept().await.unwrap().await };
    let (connected, _) = tokio::join!(transport.dial(&at, client), serve);
    let connection = connected?;
    Ok(connection.peer().certificate.as_ref().expect("the server's certificate").der().to_vec())
}

#[test]
fn a_server_is_trusted_by_its_certificate() {
    run(async {
        let server = TestServer::generate();
        for (kind, dates, fault) in [
            (ServerKind::Usual, CertificateDates::Enforced, None),
            (ServerKind::Usual, CertificateDates::Ignored, None),
            (ServerKind::Expired, CertificateDates::Enforced, Some("expired")),
            (ServerKind::Expired, CertificateDates::Ignored, None),
            (ServerKind::NotYetValid, CertificateDates::Enforced, Some("not valid yet")),
            (ServerKind::NotYetValid, CertificateDates::Ignored, None),
            (ServerKind::OtherName, CertificateDates::Enforced, Some("not valid for name")),
            (ServerKind::ClientPurpose, CertificateDates::Enforced, Some("key usage")),
        ] {
            let identity = server.issue(kind);
            match (judge(&server, dates, identity.resolver()).await, fault) {
                (Ok(seen), None) => assert!(seen == identity.certificate(), "another certificate"),
                (Err(ConnectError::ServerUntrusted(error)), Some(fault)) => {
                    let said = error.to_string();
                    assert!(said.contains(fault), "{kind:?}: {said}");
                }
                (judged, _) => panic!("{kind:?}, {dates:?}: {judged:?}"),
            }
        }
    });
}

#[test]
fn a_server_of_another_root_or_without_its_key_is_not_trusted() {
    run(async {
        let (ours, elsewhere) = (TestServer::generate(), TestServer::generate());
        let thief = ours.issue(ServerKind::Usual);
        // All roots have the same name: what tells them apart is their signatures.
        let expected = Error::from(CertificateError::BadSignature);
        for presents in [elsewhere.identity().resolver(), stolen(ours.identity(), &thief)] {
            let judged = judge(&ours, CertificateDates::Enforced, presents).await;
            assert!(
                matches!(&judged, Err(ConnectError::ServerUntrusted(error)) if *error == expected),
                "{judged:?}"
            );
        }
    });
}
