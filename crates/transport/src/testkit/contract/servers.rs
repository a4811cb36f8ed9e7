//! Who the server is, and how a client knows it.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion};

use super::Harness;
use super::service::{Service, open, passes};
use crate::ConnectError;
use crate::testkit::certificates::{ServerKind, TestIdentity, TestServer, provider};
use crate::tls::{CertificateDates, ClientTls, PinError};

/// The stock client offers no other group.
pub async fn a_client_that_knows_only_p256_is_answered<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let (mut client, mut server) =
            service.connect(ClientTls::unverified_from_config(p256_only(&service.server, version))).await;
        let (mut here, mut there) = open(&mut client, &mut server).await;
        passes(&mut there, &mut here).await;
    }
}

pub(super) fn p256_only(server: &TestServer, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut provider = (*provider()).clone();
    provider.kx_groups = vec![tokio_rustls::rustls::crypto::aws_lc_rs::kx_group::SECP256R1];
    server.client_config_with(Arc::new(provider), Some(TestIdentity::client().resolver()), &[version])
}

/// A client knows its own service from another, and says so.
pub async fn a_server_under_another_root_is_not_trusted<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let elsewhere = TestServer::generate();
    let (client, server) = service.attempt(elsewhere.client(Some(&TestIdentity::client()))).await;
    assert!(matches!(client, Err(ConnectError::ServerUntrusted(_))), "{:?}", client.err());
    assert!(server.is_err());
}

/// A client that knows but a fingerprint trusts its own service alone, and one that knows nothing learns which.
pub async fn a_server_is_known_by_the_fingerprint_of_its_root<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (right, wrong) = (service.server.root().fingerprint(), TestServer::generate().root().fingerprint());
    let identity = || Some(TestIdentity::client().identity());
    let (_client, server) =
        service.connect(ClientTls::new(right, CertificateDates::Enforced, identity()).unwrap()).await;
    assert!(server.peer().certificate.is_some());
    for untrusting in [
        ClientTls::new(wrong, CertificateDates::Enforced, identity()).unwrap(),
        ClientTls::for_unverified_root(CertificateDates::Enforced).unwrap(),
    ] {
        let (client, server) = service.attempt(untrusting).await;
        let Err(ConnectError::ServerUnpinned(presented)) = client else { panic!("{:?}", client.err()) };
        assert_eq!(presented, PinError::UnverifiedRoot(right));
        assert!(server.is_err());
    }
}

/// A certificate is renewed while the service runs, and who is connected notices nothing.
pub async fn a_renewed_certificate_is_shown_from_then_on<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let renewed = service.server.issue(ServerKind::Usual);
    service.tls.renew(renewed.identity());
    let (later, _) = service.connect(service.server.client(None)).await;
    let shown = later.peer().certificate.as_ref().expect("the server's certificate");
    assert!(shown.der() == renewed.certificate(), "another certificate");
    passes(&mut client.stream, &mut server.stream).await;
    passes(&mut server.stream, &mut client.stream).await;
}
