//! Which servers a client of the product trusts, against servers that the product would not make.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_rustls::TlsAcceptor;
use transport::testkit::certificates::{ServerKind, TestIdentity, TestServer, presents, provider, stolen};
use transport::testkit::run;
use transport::testkit::rustls::server::ResolvesServerCert;
use transport::testkit::rustls::version::{TLS12, TLS13};
use transport::testkit::rustls::{self, CertificateError, ServerConfig, SupportedProtocolVersion};
use transport::tls::{CertificateDates, ClientTls, PinError, RootCertificate, RootFingerprint};
use transport::{ByteStreamConnection, ConnectError, Origin};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What a client that pins the root of `trusted` says of a server that presents `presents`.
async fn judge(
    trusted: &TestServer,
    dates: CertificateDates,
    presents: Arc<dyn ResolvesServerCert>,
    version: &'static SupportedProtocolVersion,
) -> Result<Vec<u8>, ConnectError> {
    judge_as(&ClientTls::new(trusted.root(), dates, None).unwrap(), presents, version).await.0
}

/// What `client` says of a server that presents `presents`, and all that it sends to it.
async fn judge_as(
    client: &ClientTls,
    presents: Arc<dyn ResolvesServerCert>,
    version: &'static SupportedProtocolVersion,
) -> (Result<Vec<u8>, ConnectError>, Vec<u8>) {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(presents);
    let (here, there) = duplex(64 << 10);
    let sent = Arc::new(Mutex::new(Vec::new()));
    let here = Recording { stream: here, written: Arc::clone(&sent) };
    let origin = Origin::Remote(([127, 0, 0, 1], 0).into());
    let (connected, _) = tokio::join!(
        ByteStreamConnection::connect(here, origin, client),
        TlsAcceptor::from(Arc::new(config)).accept(there),
    );
    let seen = connected.map(|connection| {
        connection.peer().certificate.as_ref().expect("the server's certificate").der().to_vec()
    });
    let sent = sent.lock().unwrap().clone();
    (seen, sent)
}

/// Writes down what is written.
struct Recording {
    stream: DuplexStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recording {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Recording {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, from))?;
        self.written.lock().unwrap().extend(&from[..count]);
        Poll::Ready(Ok(count))
    }

    // An alert is written once, behind what else there is, or not at all.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &from.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The kinds and lengths of the records in what a client sent (RFC 8446, 5.1).
fn records(mut sent: &[u8]) -> Vec<(u8, usize)> {
    let mut records = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = sent {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        sent = &rest[length..];
    }
    records
}

#[test]
fn a_server_is_trusted_by_its_certificate() {
    run(async {
        let server = TestServer::generate();
        for version in VERSIONS {
            for (kind, dates, trusted) in [
                (ServerKind::Usual, CertificateDates::Enforced, true),
                (ServerKind::Usual, CertificateDates::Ignored, true),
                (ServerKind::Expired, CertificateDates::Enforced, false),
                (ServerKind::Expired, CertificateDates::Ignored, true),
                (ServerKind::NotYetValid, CertificateDates::Enforced, false),
                (ServerKind::NotYetValid, CertificateDates::Ignored, true),
                (ServerKind::OtherName, CertificateDates::Enforced, false),
                (ServerKind::OtherName, CertificateDates::Ignored, false),
                (ServerKind::ClientPurpose, CertificateDates::Enforced, false),
                (ServerKind::ClientPurpose, CertificateDates::Ignored, false),
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
            for dates in [CertificateDates::Enforced, CertificateDates::Ignored] {
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
            for dates in [CertificateDates::Enforced, CertificateDates::Ignored] {
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

fn fingerprint(certificate: &TestIdentity) -> RootFingerprint {
    RootCertificate::from_pem(certificate.certificate_pem().as_bytes()).unwrap().fingerprint()
}

/// What is said of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Trusted,
    Untrusted,
    Other(RootFingerprint),
    NoRoot,
}

impl Said {
    fn of(judged: Result<Vec<u8>, ConnectError>, presented: &[u8]) -> Self {
        match judged {
            Ok(seen) if seen == presented => Self::Trusted,
            Err(ConnectError::ServerUntrusted(_)) => Self::Untrusted,
            Err(ConnectError::ServerUnpinned(PinError::UnverifiedRoot(found))) => Self::Other(found),
            Err(ConnectError::ServerUnpinned(PinError::NoRoot)) => Self::NoRoot,
            other => panic!("{other:?}"),
        }
    }
}

/// What is pinned, which identity the server has, what it presents after its certificate, and what is said: by who
/// pins it, and by who only looks.
type Case<'a> = (&'a str, RootFingerprint, &'a TestIdentity, &'a [&'a [u8]], Said, Said);

#[test]
fn a_fingerprint_is_that_of_a_root_which_the_server_presents_and_is_under() {
    use Said::{NoRoot, Other, Trusted, Untrusted};
    let (server, elsewhere) = (TestServer::generate(), TestServer::generate());
    let (pinned, another) = (server.root().fingerprint(), elsewhere.root().fingerprint());
    let (root, other_root) = (server.root_der(), elsewhere.root_der());
    let (usual, theirs, self_signed) = (server.identity(), elsewhere.identity(), TestIdentity::client());
    let kind = |kind| server.issue(kind);
    let (as_root, junk) = (server.root_identity(), b"junk".as_slice());
    let (late, trailing) = ([&[junk; 7][..], &[root]].concat(), [root, &[0]].concat());
    let too_late = [&[junk; 8][..], &[root]].concat();
    let cases: &[Case<'_>] = &[
        ("the right root", pinned, usual, &[root], Trusted, Other(pinned)),
        (
            "the right root, among others",
            pinned,
            usual,
            &[other_root, junk, root, b""],
            Trusted,
            Other(pinned),
        ),
        ("the right root, twice", pinned, usual, &[root, root], Trusted, Other(pinned)),
        ("the right root, at the last place", pinned, usual, &late, Trusted, Other(pinned)),
        ("the right root, too far behind", pinned, usual, &too_late, NoRoot, NoRoot),
        ("the right root, with a byte too many", pinned, usual, &[&trailing], NoRoot, NoRoot),
        ("another root", another, usual, &[root], Other(pinned), Other(pinned)),
        ("no root", pinned, usual, &[], NoRoot, NoRoot),
        ("junk for a root", pinned, usual, &[junk, b""], NoRoot, NoRoot),
        ("its own for a root", fingerprint(usual), usual, &[usual.certificate()], NoRoot, NoRoot),
        (
            "one that it signed itself",
            fingerprint(&self_signed),
            &self_signed,
            &[self_signed.certificate()],
            NoRoot,
            NoRoot,
        ),
        ("the root for its own", pinned, &as_root, &[root], Untrusted, Untrusted),
        ("the right root, which is not its", pinned, theirs, &[root], Untrusted, Untrusted),
        ("the right root and its own", pinned, theirs, &[root, other_root], Untrusted, Other(another)),
        ("its own and the right root", pinned, theirs, &[other_root, root], Untrusted, Other(another)),
        ("expired", pinned, &kind(ServerKind::Expired), &[root], Untrusted, Untrusted),
        ("not yet valid", pinned, &kind(ServerKind::NotYetValid), &[root], Untrusted, Untrusted),
        ("for another name", pinned, &kind(ServerKind::OtherName), &[root], Untrusted, Untrusted),
        ("for clients", pinned, &kind(ServerKind::ClientPurpose), &[root], Untrusted, Untrusted),
    ];
    run(async {
        for version in VERSIONS {
            for (what, pinned, identity, others, by_pin, by_look) in cases {
                let chain = [&[identity.certificate()], *others].concat();
                let pinning = ClientTls::new(*pinned, CertificateDates::Enforced, None).unwrap();
                let looking = ClientTls::for_unverified_root(CertificateDates::Enforced).unwrap();
                for (client, expected) in [(pinning, by_pin), (looking, by_look)] {
                    let judged = judge_as(&client, presents(&chain, identity), version).await.0;
                    let said = Said::of(judged, identity.certificate());
                    assert_eq!(said, *expected, "{what}, {:?}", version.version);
                }
            }
        }
    });
}

#[test]
fn by_a_fingerprint_too_dates_need_not_count() {
    run(async {
        let server = TestServer::generate();
        let client = ClientTls::new(server.root().fingerprint(), CertificateDates::Ignored, None).unwrap();
        for (kind, expected) in [
            (ServerKind::Expired, Said::Trusted),
            (ServerKind::NotYetValid, Said::Trusted),
            (ServerKind::OtherName, Said::Untrusted),
        ] {
            let identity = server.issue(kind);
            let presents = presents(&[identity.certificate(), server.root_der()], &identity);
            let judged = judge_as(&client, presents, &TLS13).await.0;
            assert_eq!(Said::of(judged, identity.certificate()), expected, "{kind:?}");
        }
    });
}

/// All certificates are public: whoever repeats them is known by a look, and found out by a pin.
#[test]
fn who_repeats_a_server_s_certificates_without_its_key_is_not_trusted() {
    run(async {
        let server = TestServer::generate();
        let (thief, pinned) = (server.issue(ServerKind::Usual), server.root().fingerprint());
        let chain = [server.identity().certificate(), server.root_der()];
        for version in VERSIONS {
            let looking = ClientTls::for_unverified_root(CertificateDates::Enforced).unwrap();
            let judged = judge_as(&looking, presents(&chain, &thief), version).await.0;
            assert_eq!(Said::of(judged, &[]), Said::Other(pinned), "{:?}", version.version);

            let pinning = ClientTls::new(pinned, CertificateDates::Enforced, None).unwrap();
            let judged = judge_as(&pinning, presents(&chain, &thief), version).await.0;
            let bad_signature = rustls::Error::from(CertificateError::BadSignature);
            assert!(
                matches!(&judged, Err(ConnectError::ServerUntrusted(error)) if *error == bad_signature),
                "{:?}: {judged:?}",
                version.version,
            );
        }
    });
}

/// Neither who the client is nor anything that it is to say.
#[test]
fn a_server_that_is_not_trusted_gets_a_greeting_and_an_alert() {
    const HANDSHAKE: u8 = 22;
    const CHANGE_CIPHER_SPEC: u8 = 20;
    // In the clear, and encrypted: two bytes, in TLS 1.3 with a kind and a tag.
    const ALERTS: [(u8, usize); 2] = [(21, 2), (23, 2 + 1 + 16)];
    run(async {
        let (server, elsewhere) = (TestServer::generate(), TestServer::generate());
        let (right, wrong) = (server.root().fingerprint(), elsewhere.root().fingerprint());
        let identity = || Some(TestIdentity::client().identity());
        let chain = [server.identity().certificate(), server.root_der()];
        for version in VERSIONS {
            for (client, trusted) in [
                (ClientTls::new(wrong, CertificateDates::Enforced, identity()), false),
                (ClientTls::new(elsewhere.root(), CertificateDates::Enforced, identity()), false),
                (ClientTls::for_unverified_root(CertificateDates::Enforced), false),
                (ClientTls::new(right, CertificateDates::Enforced, identity()), true),
            ] {
                let presents = presents(&chain, server.identity());
                let (judged, sent) = judge_as(&client.unwrap(), presents, version).await;
                assert_eq!(judged.is_ok(), trusted, "{judged:?}");
                let records = records(&sent);
                let [(HANDSHAKE, _), rest @ ..] = records.as_slice() else { panic!("{records:?}") };
                let rest: Vec<_> = rest.iter().filter(|(kind, _)| *kind != CHANGE_CIPHER_SPEC).collect();
                let is_alert_alone = matches!(rest.as_slice(), [alert] if ALERTS.contains(alert));
                assert_eq!(is_alert_alone, !trusted, "{:?}: {records:?}", version.version);
            }
        }
    });
}
