//! Which servers a client of the product trusts, against servers that the product would not make.

use std::sync::Arc;

use tokio::io::duplex;
use tokio_rustls::TlsAcceptor;
use transport::testkit::certificates::{ServerKind, TestIdentity, TestServer, provider, stolen};
use transport::testkit::run;
use transport::testkit::rustls::server::ResolvesServerCert;
use transport::testkit::rustls::version::{TLS12, TLS13};
use transport::testkit::rustls::{self, CertificateError, ServerConfig, SupportedProtocolVersion};
use transport::tls::{ClientTls, Dates};
use transport::{ByteStreamConnection, ConnectError, Origin};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What a client that pins the root of `trusted` says of a server that presents `presents`.
async fn judge(
    trusted: &TestServer,
    dates: Dates,
    presents: Arc<dyn ResolvesServerCert>,
    version: &'static SupportedProtocolVersion,
) -> Result<Vec<u8>, ConnectError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(presents);
    let (here, there) = duplex(64 << 10);
    let client = ClientTls::new(trusted.root(), dates, None).unwrap();
    let origin = Origin::Remote(([127, 0, 0, 1], 0).into());
    let (connected, _) = tokio::join!(
        ByteStreamConnection::connect(here, origin, &client),
        TlsAcceptor::from(Arc::new(config)).accept(there),
    );
    let connection = connected?;
    Ok(connection.peer().certificate.as_ref().expect("the server's certificate").der().to_vec())
}

#[test]
fn a_server_is_trusted_by_its_certificate() {
    run(async {
        let server = TestServer::generate();
        for version in VERSIONS {
            for (kind, dates, trusted) in [
                (ServerKind::Usual, Dates::Count, true),
                (ServerKind::Usual, Dates::DoNotCount, true),
                (ServerKind::Expired, Dates::Count, false),
                (ServerKind::Expired, Dates::DoNotCount, true),
                (ServerKind::NotYetValid, Dates::Count, false),
                (ServerKind::NotYetValid, Dates::DoNotCount, true),
                (ServerKind::OtherName, Dates::Count, false),
                (ServerKind::OtherName, Dates::DoNotCount, false),
                (ServerKind::ClientPurpose, Dates::Count, false),
                (ServerKind::ClientPurpose, Dates::DoNotCount, false),
            ] {
                let identity = server.issue(kind);
                match judge(&server, dates, identity.resolver(), version).await {
                    Ok(seen) => {
                        assert!(trusted, "{kind:?}, {dates:?}, {:?}: trusted", version.version);
                        assert!(seen == identity.certificate(), "another certificate");
                    }
                    Err(ConnectError::ServerUntrusted(_)) if !trusted => {}
                    Err(error) => panic!("{kind:?}, {dates:?}, {:?}: {error:?}", version.version),
                }
            }
        }
    });
}

#[test]
fn a_server_of_another_root_is_not_trusted() {
    run(async {
        let (ours, elsewhere) = (TestServer::generate(), TestServer::generate());
        let nobody = TestIdentity::client();
        for version in VERSIONS {
            for dates in [Dates::Count, Dates::DoNotCount] {
                for identity in [elsewhere.identity(), &nobody] {
                    let judged = judge(&ours, dates, identity.resolver(), version).await;
                    assert!(matches!(judged, Err(ConnectError::ServerUntrusted(_))), "{dates:?}: {judged:?}");
                }
            }
        }
    });
}

/// A server certificate is public. What makes a server is its key.
#[test]
fn a_server_without_its_certificate_s_key_is_not_trusted() {
    run(async {
        let server = TestServer::generate();
        let thief = server.issue(ServerKind::Usual);
        for version in VERSIONS {
            for dates in [Dates::Count, Dates::DoNotCount] {
                let judged = judge(&server, dates, stolen(server.identity(), &thief), version).await;
                let bad_signature = rustls::Error::from(CertificateError::BadSignature);
                assert!(
                    matches!(&judged, Err(ConnectError::ServerUntrusted(error)) if *error == bad_signature),
                    "{dates:?}, {:?}: {judged:?}",
                    version.version,
                );
            }
        }
    });
}
