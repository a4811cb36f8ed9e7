//! Whose server answers, as far as it says so itself.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;
use transport::testkit::certificates::{TestIdentity, TestServer, provider};
use transport::testkit::run;
use transport::testkit::rustls::version::{TLS12, TLS13};
use transport::testkit::rustls::{self, ServerConfig, SupportedProtocolVersion};
use transport::tls::{ROOT_NAME, unverified_issuer};

fn server(presents: &TestIdentity, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(presents.resolver());
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn the_name_in_a_server_s_certificate_is_told_and_the_handshake_ends_there() {
    run(async {
        let (daemon, other) = (TestServer::generate(), TestIdentity::client());
        for version in [&TLS12, &TLS13] {
            for (identity, is_daemon) in [(daemon.identity(), true), (&other, false)] {
                let (here, there) = duplex(64 << 10);
                let acceptor = server(identity, version);
                let (issuer, accepted) = tokio::join!(unverified_issuer(here), acceptor.accept(there));
                assert_eq!(issuer.expect("an issuer") == ROOT_NAME, is_daemon, "{:?}", version.version);
                let error = accepted.map(drop).expect_err("the handshake is broken off");
                let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                assert!(matches!(fault, Some(rustls::Error::AlertReceived(_))), "{error:?}");
            }
        }
    });
}

#[test]
fn a_server_without_tls_has_no_issuer() {
    run(async {
        for answer in [b"".as_slice(), b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0x16, 3, 3, 0, 1, 0]] {
            let (here, mut there) = duplex(64 << 10);
            let serve = async {
                assert_eq!(there.read_u8().await.unwrap(), 0x16, "the greeting is a TLS record");
                there.write_all(answer).await.unwrap();
                there.shutdown().await.unwrap();
                // What is left of the greeting, and perhaps an alert.
                let mut rest = Vec::new();
                there.read_to_end(&mut rest).await.unwrap();
                rest.len()
            };
            let (issuer, sent) = tokio::join!(unverified_issuer(here), serve);
            assert_eq!(issuer, None);
            assert!(sent > 0);
        }
    });
}
