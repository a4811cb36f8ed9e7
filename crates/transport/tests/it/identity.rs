//! Reading certificates and keys: what is accepted, and what is said about the rest.

use std::error::Error;

use transport::testkit::certificates::{Kind, TestIdentity, TestServer};
use transport::tls::{Identity, IdentityError, RootCertificate, RootCertificateError};

fn read(certificate: &str, key: &str) -> Result<Identity, IdentityError> {
    Identity::from_pem(certificate.as_bytes(), key.as_bytes())
}

fn pem(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}

#[test]
fn every_kind_of_client_is_an_identity() {
    for kind in Kind::ALL {
        let client = kind.generate();
        read(&client.certificate_pem(), &client.key_pem())
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

#[test]
fn keys_are_read_in_every_form() {
    let (ec, rsa) = (Kind::P256.generate(), Kind::Rsa2048.generate());
    // Within PKCS#8 there is one of the other two forms, here behind the beginning of its content.
    let sec1 = within(ec.key(), &[0x02, 0x01, 0x01, 0x04, 0x20], 2);
    let pkcs1 = within(rsa.key(), &[0x02, 0x01, 0x00, 0x02, 0x82], 4);
    read(&ec.certificate_pem(), &pem("EC PRIVATE KEY", sec1)).unwrap();
    read(&rsa.certificate_pem(), &pem("RSA PRIVATE KEY", pkcs1)).unwrap();
}

/// The rest of `whole` from `content` on, with its element's header, `header` bytes long.
fn within<'a>(whole: &'a [u8], content: &[u8], header: usize) -> &'a [u8] {
    let at = whole.windows(content.len()).position(|window| window == content).unwrap();
    &whole[at - header..]
}

#[test]
fn files_may_hold_other_text() {
    let client = TestIdentity::client();
    let certificate = format!("name: laptop\n{}\ntrailing", client.certificate_pem());
    read(&certificate, &format!("\n{}", client.key_pem())).unwrap();
}

#[test]
fn a_key_of_another_certificate_is_a_mismatch() {
    for kind in Kind::ALL {
        let client = kind.generate();
        for other in [kind, Kind::P256, Kind::P384, Kind::Ed25519] {
            let result = read(&client.certificate_pem(), &other.generate().key_pem());
            assert!(matches!(result, Err(IdentityError::Mismatch)), "{kind:?}, {other:?}: {result:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_key_is_said() {
    let client = TestIdentity::client();
    let (certificate, key) = (client.certificate_pem(), client.key_pem());
    let trailing = [client.certificate(), &[0]].concat();
    let cut_short = &client.certificate()[..client.certificate().len() - 1];
    let weak = TestIdentity::rsa_1024();
    let (bad_certificate, bad_key) =
        ("the certificate is not a valid X.509 certificate", "the private key cannot be used");
    let (no_certificate, no_key) = ("the certificate is not valid PEM", "the private key is not valid PEM");
    for (certificate, key, expected) in [
        ("", key.as_str(), no_certificate),
        ("no PEM", &key, no_certificate),
        (&key, &key, no_certificate),
        (&certificate[..certificate.len() / 2], &key, no_certificate),
        (&pem("CERTIFICATE", b"garbage"), &key, bad_certificate),
        (&pem("CERTIFICATE", &trailing), &key, bad_certificate),
        (&pem("CERTIFICATE", cut_short), &key, bad_certificate),
        (&pem("CERTIFICATE", &[]), &key, bad_certificate),
        (&certificate, "", no_key),
        (&certificate, &certificate, no_key),
        (&certificate, &pem("PRIVATE KEY", b"garbage"), bad_key),
        (&certificate, &pem("PRIVATE KEY", &client.key()[1..]), bad_key),
        (&weak.certificate_pem(), &weak.key_pem(), bad_key),
    ] {
        let error = read(certificate, key).expect_err(expected);
        assert_eq!(error.to_string(), expected);
        assert!(error.source().is_some(), "{expected}: by what?");
    }
}

#[test]
fn a_root_certificate_is_read_or_what_is_wrong_is_said() {
    let server = TestServer::generate();
    RootCertificate::from_pem(server.root_pem().as_bytes()).unwrap();
    RootCertificate::from_pem(format!("a note\n{}", server.root_pem()).as_bytes()).unwrap();

    for text in ["", "no PEM", &server.identity().key_pem()] {
        let result = RootCertificate::from_pem(text.as_bytes());
        assert!(matches!(result, Err(RootCertificateError::Pem(_))), "{text:?}: {result:?}");
    }
    for der in [b"".as_slice(), b"garbage", &server.identity().key()[1..]] {
        let result = RootCertificate::from_pem(pem("CERTIFICATE", der).as_bytes());
        assert!(matches!(result, Err(RootCertificateError::Certificate(_))), "{der:?}: {result:?}");
    }
}
