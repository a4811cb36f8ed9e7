//! What a transport keeps beyond that which carries TLS over a byte stream a connection.

use std::any::Any;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind};

use super::ByteStreamHarness;
use super::servers::p256_only;
use super::service::{Ends, Service, open};
use crate::testkit::certificates::TestServer;
use crate::tls::SERVER_NAME;
use crate::{ConnectError, Endpoint, HandshakeError, Stream};

/// Peers that stop after each of several beginnings of a ClientHello.
pub async fn stalled_byte_streams(
    harness: &impl ByteStreamHarness,
    at: &Endpoint,
) -> Vec<Box<dyn Any + Send>> {
    let hello = client_hello();
    let mut peers: Vec<Box<dyn Any + Send>> = Vec::new();
    for beginning in [&[], &hello[..1], &hello[..hello.len() / 2]] {
        let mut stream = harness.connect_raw(at).await;
        stream.write_all(beginning).await.unwrap();
        stream.flush().await.unwrap();
        peers.push(Box::new(stream));
    }
    peers
}

/// What a client says first.
fn client_hello() -> Vec<u8> {
    let config = TestServer::generate().client_config(None, tokio_rustls::rustls::ALL_VERSIONS);
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = tokio_rustls::rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A handshake with rustls itself over a raw stream, which shows what was agreed on.
async fn raw_handshake<H: ByteStreamHarness>(
    service: &mut Service<H>,
    config: ClientConfig,
) -> (io::Result<tokio_rustls::client::TlsStream<Stream>>, Result<Ends, HandshakeError>) {
    let stream = service.harness.connect_raw(&service.at).await;
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let serve = async { service.listener.accept().await.expect("a peer").handshake().await };
    tokio::join!(TlsConnector::from(Arc::new(config)).connect(name, stream), serve)
}

/// The stock daemon answers a client that does not negotiate a protocol, and so does ours.
pub async fn a_client_without_alpn_is_answered<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let mut config = service.server.client_config(None, &[version]);
        config.alpn_protocols.clear();
        let (client, server) = raw_handshake(&mut service, config).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        client.write_all(b"!").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(server.next_stream().await.unwrap().read_u8().await.unwrap(), b'!');
        assert_eq!(client.get_ref().1.alpn_protocol(), None);
    }
}

/// The stock client offers `grpc-exp` before `h2` and P-256 alone, and wants `h2` agreed on.
pub async fn a_client_of_the_stock_service_is_answered<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let mut config = p256_only(&service.server, version);
        config.alpn_protocols = vec![b"grpc-exp".to_vec(), b"h2".to_vec()];
        let (client, server) = raw_handshake(&mut service, config).await;
        let client = client.unwrap();
        assert!(server.unwrap().peer().certificate.is_some());
        let (_, agreed) = client.get_ref();
        assert_eq!(agreed.alpn_protocol(), Some(b"h2".as_slice()));
        assert_eq!(agreed.protocol_version(), Some(version.version));
        assert_eq!(agreed.handshake_kind(), Some(HandshakeKind::Full), "no second round trip");
        let shown: Vec<&[u8]> = agreed.peer_certificates().unwrap().iter().map(AsRef::as_ref).collect();
        assert!(
            shown == [service.server.identity().certificate(), service.server.root_der()],
            "in this order"
        );
    }
}

/// There is one stream, for the client to open and for the server to take.
pub async fn a_connection_has_one_stream<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.connect(service.server.client(None)).await;
    let streams = open(&mut client, &mut server).await;
    assert!(matches!(client.open_stream().await, Err(ConnectError::NoStream)));
    assert!(server.next_stream().await.is_none());
    drop(streams);
}

/// A peer that speaks something else, or leaves in the middle, is a failed handshake.
pub async fn what_is_no_tls_is_refused<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    let hello = client_hello();
    for said in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 64], &hello[..hello.len() / 2], &[]] {
        let mut peer = service.harness.connect_raw(&service.at).await;
        peer.write_all(said).await.unwrap();
        peer.shutdown().await.unwrap();
        let refused = service.listener.accept().await.expect("a peer").handshake().await;
        assert!(matches!(refused, Err(HandshakeError::Tls(_))));
    }
}

/// Without descriptors accepting fails for the moment, and goes on once there are some.
#[cfg(unix)]
pub async fn running_out_of_descriptors_is_transient<H: ByteStreamHarness>() {
    use crate::AcceptError;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let mut service = Service::<H>::start().await;
    let first = service.harness.connect_raw(&service.at).await;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 256, most).unwrap();
    let mut others = Vec::new();
    let out_of_descriptors = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => others.push(file),
            Err(error) => break error,
        }
    };

    for _ in 0..3 {
        match service.listener.accept().await.map(|incoming| incoming.origin().clone()) {
            Err(AcceptError::Transient(error)) => {
                assert_eq!(error.raw_os_error(), out_of_descriptors.raw_os_error());
            }
            other => panic!("{other:?}"),
        }
    }

    drop(others);
    let waited = service.listener.accept().await.expect("the peer that waited");
    drop((first, waited));
    let (mut client, mut server) = service.stream().await;
    super::service::passes(&mut client.stream, &mut server.stream).await;
}
