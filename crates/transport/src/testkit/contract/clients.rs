//! Who a client is: its certificate as presented, whose key it holds.

use super::Harness;
use super::service::{Service, is_turned_away, open, passes};
use crate::testkit::certificates::{Kind, TestIdentity, stolen};
use crate::tls::ClientTls;

/// The server sees exactly the certificate that the client presented, over each TLS version.
pub async fn every_kind_of_certificate_is_delivered<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for kind in Kind::ALL {
        let identity = kind.generate();
        let mut clients = vec![service.server.client(Some(&identity))];
        for version in service.harness.tls_versions() {
            let config = service.server.client_config(Some(identity.resolver()), &[version]);
            clients.push(ClientTls::unverified_from_config(config));
        }
        for tls in clients {
            let (mut client, mut server) = service.connect(tls).await;
            let delivered = server.peer().certificate.as_ref().expect("a certificate");
            assert!(delivered.der() == identity.certificate(), "{kind:?}: another certificate was delivered");
            let shown = client.peer().certificate.as_ref().expect("the server's certificate");
            assert!(shown.der() == service.server.identity().certificate(), "{kind:?}: another server");
            let (mut here, mut there) = open(&mut client, &mut server).await;
            passes(&mut there, &mut here).await;
        }
    }
}

/// No certificate is a completed handshake, over each TLS version.
pub async fn a_client_without_a_certificate_is_let_in_as_nobody<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let mut clients = vec![service.server.client(None)];
    for version in service.harness.tls_versions() {
        clients.push(ClientTls::unverified_from_config(service.server.client_config(None, &[version])));
    }
    for tls in clients {
        let (mut client, mut server) = service.connect(tls).await;
        assert_eq!(server.peer().certificate, None);
        let (mut here, mut there) = open(&mut client, &mut server).await;
        passes(&mut there, &mut here).await;
    }
}

/// A client with a certificate from anywhere is to present it: the server restricts it to no authorities.
pub async fn the_server_names_no_authorities<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let resolver = TestIdentity::client().resolver();
        let config = service.server.client_config(Some(resolver.clone()), &[version]);
        service.connect(ClientTls::unverified_from_config(config)).await;
        assert_eq!((resolver.asked(), resolver.authorities_named()), (1, 0));
    }
}

/// A certificate is worth nothing to who does not hold its key.
pub async fn a_certificate_without_its_key_is_refused<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for kind in [Kind::P256, Kind::P256V1, Kind::Rsa2048, Kind::P384, Kind::Ed25519] {
        let (victim, thief, stranger) = (kind.generate(), kind.generate(), other_kind(kind).generate());
        for version in service.harness.tls_versions() {
            for (presents, accepted) in [
                (victim.resolver(), true),
                (stolen(&victim, &thief), false),
                // A signature of a scheme that is fine in itself, and not that of the certificate.
                (stolen(&victim, &stranger), false),
            ] {
                let config = service.server.client_config(Some(presents.clone()), &[version]);
                let (client, server) = service.attempt(ClientTls::unverified_from_config(config)).await;
                assert_eq!(presents.asked(), 1);
                assert_eq!(server.is_ok(), accepted, "{kind:?}, {:?}", version.version);
                if !accepted {
                    assert!(is_turned_away(client).await, "{kind:?}: the thief was answered");
                }
            }
        }
    }
}

fn other_kind(kind: Kind) -> Kind {
    if kind == Kind::P256 { Kind::Ed25519 } else { Kind::P256 }
}

/// A client that would resume its session is asked for its certificate and a signature each time.
pub async fn possession_is_proven_on_every_connection<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let resolver = TestIdentity::client().resolver();
        // Resumption is on in this client, unlike in the product's.
        let tls = service.server.client_config(Some(resolver.clone()), &[version]);
        let tls = ClientTls::unverified_from_config(tls);
        for connection in 1..=3 {
            let (mut client, mut server) = service.connect(tls.clone()).await;
            // A ticket would come with the first bytes.
            let (mut here, mut there) = open(&mut client, &mut server).await;
            passes(&mut there, &mut here).await;
            assert_eq!(resolver.asked(), connection, "{:?}", version.version);
        }
    }
}
